"""One identity for every element type that ONNX Runtime runs on a CPU, with the
values at the edges of each."""

import ml_dtypes
import numpy as np
from onnx import helper

from built import model, tensor
from record import DTYPES
from tabular import save

TEXTS = [
    "", "a", " spaces around ", "né 数値 🎯 e\u0301", 'a "quoted" word', "'single'", "comma, semicolon;", "line\nbreak",
    "carriage\r\nreturn", "tab\t", "back\\slash", "\x01\x1b\x7f", "\u2028", "null", "NaN", "-1.5e3", "true", "x" * 1000,
]
# Beside each type's extremes: what a decoder that goes through another type gets wrong.
AWKWARD = {
    "float32": [0.1, 1 / 3, 16777217, 1e-30, 123456.789],
    "float64": [0.1, 1 / 3, 2**53 + 1, 1e-300, 0.30000000000000004, 1.7976931348623155e308, 123456789.01234567],
    "float16": [0.1, 1 / 3, 2049, 1000.5],
    "bfloat16": [0.1, 1 / 3, 257, 1e30],
    "int32": [2**24 + 1, -(2**24) - 1],
    "int64": [2**53 + 1, -(2**53) - 1, 10**18 + 1],
    "uint32": [2**31, 2**24 + 1],
    "uint64": [2**63, 2**63 + 1, 2**53 + 1],
}


def edges(name):
    """The finite values of a type to try, and the others that it has."""
    dtype = np.dtype(DTYPES[name][0])
    if name == "string":
        return TEXTS, []
    if name == "bool":
        return [True, False, False], []
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return [0, 1, bounds.max, bounds.min, bounds.max - 1, bounds.min + 1] + AWKWARD.get(name, []), []
    bounds = ml_dtypes.finfo(dtype)
    of = [0, -0.0, 1, -1, bounds.max, bounds.min, bounds.smallest_normal, bounds.smallest_subnormal,
          -bounds.smallest_subnormal, 1 + bounds.eps, 1.5]
    odd = np.array([np.nan, np.inf, -np.inf]).astype(dtype)
    return [float(v) for v in of + AWKWARD.get(name, [])], [float(v) for v in odd if np.isinf(v)] + [np.nan]


def identity(name):
    """Returns what writes the identity of three columns of that type."""
    def write(folder):
        node = helper.make_node("Identity", ["x"], ["y"])
        save(model([node], [tensor("x", name, ["N", 3])], [tensor("y", name, ["N", 3])], opset=19), folder)
        finite, other = (rows(v, name) for v in edges(name))
        cases = [("one row", {"x": finite[:1]}), ("edges", {"x": finite})]
        if len(other):
            cases.append(("not finite", {"x": other}))
        return cases + [("no rows", {"x": finite[:0]})], "", None
    return write


def rows(values, name):
    """The values as rows of three; the first ones fill up the last row."""
    dtype = DTYPES[name][0]
    if np.dtype(dtype).kind not in "iuO":
        values = np.array(values, np.float64)  # exact, and every float type casts from it
    with np.errstate(all="ignore"):
        flat = np.asarray(values, dtype)
    return np.resize(flat, (-(-len(flat) // 3), 3))


def scalar(folder):
    """The identity of a single number: rank 0."""
    node = helper.make_node("Identity", ["x"], ["y"])
    save(model([node], [tensor("x", "float32", [])], [tensor("y", "float32", [])]), folder)
    return [(str(v), {"x": np.array(v, np.float32)}) for v in (2.5, -0.0, 3.4028235e38)], "", None
