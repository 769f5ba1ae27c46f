"""Which of two packages wrote a docstring: TF-IDF and a linear classifier."""

import importlib
import inspect
import pkgutil
import warnings

import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from tabular import OPSET, save


LEFT_OUT = {"f2py", "distutils", "externals", "estimator_checks"}  # tools, copies of other packages, tests


def docstrings(package):
    """The docstrings of a package's functions and classes, each once, sorted."""
    root = importlib.import_module(package)
    found = set()
    for module in pkgutil.walk_packages(root.__path__, package + ".", onerror=lambda name: None):
        if any(part.startswith(("_", "test", "conftest")) or part in LEFT_OUT for part in module.name.split(".")):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                members = vars(importlib.import_module(module.name))
        except Exception:  # what needs a package that is not installed
            continue
        for name, member in members.items():
            if name.startswith("_") or not callable(member) or not inspect.getmodule(member):
                continue
            text = inspect.getdoc(member)
            if inspect.getmodule(member).__name__.startswith(package) and text and len(text) > 80:
                found.add(text)
    return sorted(found)


def text(folder):
    """One string a row, of any length."""
    numpy, sklearn = docstrings("numpy"), docstrings("sklearn")
    x = np.array(numpy + sklearn, dtype=object)
    y = np.array(["numpy"] * len(numpy) + ["sklearn"] * len(sklearn))
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    model = make_pipeline(
        # The package's own name would give it away.
        TfidfVectorizer(max_features=1500, token_pattern=r"[a-zA-Z]+", stop_words=["numpy", "np", "sklearn", "scikit", "learn"]),
        LogisticRegression(C=10),
    ).fit(train, y_train)
    graph = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], target_opset=OPSET)
    # The converter leaves the lower-casing to the locale en_US.UTF-8, which few
    # containers have; the tokens are ASCII, and every machine has C.
    normalizer = next(n for n in graph.graph.node if n.op_type == "StringNormalizer")
    normalizer.attribute.append(onnx.helper.make_attribute("locale", "C"))
    save(graph, folder)
    short = [t for t in test if len(t) < 400]
    rows = np.array([t.split("\n\n")[0] for t in short[:6]], dtype=object)
    odd = ["", "NaïVe ΣΊΣΥΦΟΣ 数値 🎯", 'a "quoted", comma\r\nline\ttab', "123 456", "array " * 50]
    cases = [
        ("one row", {"text": np.array([[short[0]]], dtype=object)}),
        ("six held-out summaries", {"text": rows.reshape(-1, 1)}),
        ("ten held-out docstrings", {"text": np.array(short[6:16], dtype=object).reshape(-1, 1)}),
        ("odd texts", {"text": np.array(odd, dtype=object).reshape(-1, 1)}),
    ]
    return cases, f"accuracy {model.score(test, y_test):.3f} of {len(test)}", lambda feed: model.predict(feed["text"][:, 0])
