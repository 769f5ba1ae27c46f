"""Three models that are one together: chain-scale, chain-classify, chain-best. Each takes what the one before it gives."""

import numpy as np
from onnx import helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from built import model, tensor
from tabular import save


def fitted():
    """The held-out rows of iris, and the scaler and the regression of the others."""
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=3)
    scaler = StandardScaler().fit(train)
    regression = LogisticRegression(max_iter=1000).fit(scaler.transform(train), y_train)
    return test, y_test, scaler, regression


def scale(folder):
    """Each column less its mean, over its deviation."""
    test, _, scaler, _ = fitted()
    nodes = [helper.make_node("Sub", ["measured", "mean"], ["centred"]), helper.make_node("Div", ["centred", "deviation"], ["scaled"])]
    constants = {"mean": scaler.mean_.astype(np.float32), "deviation": scaler.scale_.astype(np.float32)}
    save(model(nodes, [tensor("measured", "float32", ["N", 4])], [tensor("scaled", "float32", ["N", 4])], constants), folder)
    return [("one row", {"measured": test[:1]}), ("the held-out rows", {"measured": test})], "", None


def classify(folder):
    """A logistic regression of the scaled rows; nothing but probabilities."""
    test, y_test, scaler, regression = fitted()
    nodes = [helper.make_node("Gemm", ["scaled", "weights", "bias"], ["logits"]),
             helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)]
    constants = {"weights": regression.coef_.T.astype(np.float32), "bias": regression.intercept_.astype(np.float32)}
    save(model(nodes, [tensor("scaled", "float32", ["N", 4])], [tensor("probabilities", "float32", ["N", 3])], constants), folder)
    x = scaler.transform(test).astype(np.float32)
    return ([("one row", {"scaled": x[:1]}), ("the held-out rows", {"scaled": x})],
            f"accuracy {regression.score(x, y_test):.3f}", lambda feed: regression.predict_proba(feed["scaled"]))


def best(folder):
    """The most probable class and how probable it is. Its input is not called as the output before it is."""
    test, _, scaler, regression = fitted()
    nodes = [helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
             helper.make_node("ReduceMax", ["scores", "last"], ["confidence"], keepdims=0)]
    outputs = [tensor("class", "int64", ["N"]), tensor("confidence", "float32", ["N"])]
    save(model(nodes, [tensor("scores", "float32", ["N", 3])], outputs, {"last": np.array([1], np.int64)}), folder)
    x = regression.predict_proba(scaler.transform(test)).astype(np.float32)
    return [("one row", {"scores": x[:1]}), ("the held-out rows", {"scores": x})], "", lambda feed: np.argmax(feed["scores"], axis=1)
