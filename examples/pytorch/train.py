import numpy as np
import torch
from sklearn.datasets import load_digits

X, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimiser = torch.optim.Adam(net.parameters())
for _ in range(500):
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(net(X.float()), y).backward()
    optimiser.step()
torch.onnx.export(net.eval(), (X[:2].float(),), "digits.onnx", input_names=["pixels"], output_names=["scores"],
                  dynamic_shapes=[{0: torch.export.Dim.DYNAMIC}])
np.save("three.npy", X[:3].float())
