"""A convolutional network on scikit-learn's digits, and its half-precision twin."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tabular import save

TRAIN = Path(__file__).with_name("digits_train.py")


def data():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)


def torch_python():
    """A Python that has PyTorch: $TORCH_PYTHON, this one, or the system's."""
    tried = [p for p in (os.environ.get("TORCH_PYTHON"), sys.executable, "/usr/bin/python3") if p]
    for python in tried:
        if Path(python).exists() and subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
            return python
    sys.exit(f"digits: no PyTorch in {', '.join(tried)}: apt-get install python3-torch (a CPU build), "
             "or set TORCH_PYTHON to a Python that has it")


def digits(folder):
    """float32 in and out; the exporter folds the normalisation into the weights."""
    train, test, y_train, y_test = data()
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch, name) for name in ("images.npy", "labels.npy", "model.onnx")]
        np.save(files[0], train)
        np.save(files[1], y_train)
        subprocess.run([torch_python(), TRAIN, *files], check=True)
        model = onnx.load(files[2])
    for node in model.graph.node:
        node.ClearField("doc_string")
    save(model, folder)
    return cases(test), score(model, test, y_test), None


def digits_fp16(folder):
    """The same with float16 weights, in and out."""
    model = onnx.load(folder.with_name("digits") / "model.onnx")
    for weights in model.graph.initializer:
        if weights.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(weights).astype(np.float16)
            weights.CopyFrom(numpy_helper.from_array(half, weights.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    save(model, folder)
    _, test, _, y_test = data()
    test = test.astype(np.float16)
    return cases(test), score(model, test, y_test), None


def cases(test):
    return [
        ("one row", {"image": test[:1]}),
        ("three rows", {"image": test[1:4]}),
        ("thirty-two held-out rows", {"image": test[4:36]}),
        ("no ink", {"image": np.zeros_like(test[:1])}),
    ]


def score(model, test, labels):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"image": test})[0].argmax(1)
    return f"accuracy {(found == labels).mean():.3f} of {len(test)}"
