import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

X, y = load_wine(return_X_y=True)
X = X.astype(np.float32)
forest = RandomForestClassifier(random_state=0).fit(X, y)
with open("wine.onnx", "wb") as f:
    f.write(to_onnx(forest, X[:1]).SerializeToString())
