"""Trains a small convolutional network with PyTorch and exports it.

usage: digits_train.py IMAGES.npy LABELS.npy MODEL.onnx

A program of its own, so that it can run in another Python: PyTorch's wheel for
x86-64 Linux brings gigabytes of CUDA, a distribution's package does not. It
needs PyTorch 1.13 or later and what that needs.
"""

import sys

import numpy as np
import torch
from torch import nn


def network():
    """1.19 million multiply-adds a row, 38 thousand weights."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(48, 40, 3, padding=1), nn.BatchNorm2d(40), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(40 * 4 * 4, 10), nn.Softmax(dim=1),
    )


def train(images, labels):
    torch.manual_seed(1)
    torch.set_num_threads(1)  # the same sums in the same order
    model = network()
    logits = model[:-1]
    epochs, size = 30, 64
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    # Smoothing keeps the probabilities of the wrong digits around a hundredth,
    # where a float16 still has three digits.
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(size):
            optimiser.zero_grad()
            loss(logits(images[rows]), labels[rows]).backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def main(images, labels, path):
    images, labels = (torch.tensor(np.load(p).tolist()) for p in (images, labels))
    torch.onnx.export(train(images, labels), images[:1], path, opset_version=15, input_names=["image"],
                      output_names=["probabilities"], dynamic_axes={"image": {0: "N"}, "probabilities": {0: "N"}})


if __name__ == "__main__":
    main(*sys.argv[1:])
