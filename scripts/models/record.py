"""Runs a model with Python ONNX Runtime and writes down what it answers.

expected.json is read by the Go tests, so that they need no Python. Its form is
described in testdata/models/README.md.
"""

import ctypes
import json
import math
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort

# Element types by their name in expected.json: the numpy type that holds the
# values, and ONNX's number.
DTYPES = {
    "float32": (np.float32, onnx.TensorProto.FLOAT),
    "float64": (np.float64, onnx.TensorProto.DOUBLE),
    "float16": (np.float16, onnx.TensorProto.FLOAT16),
    "bfloat16": (ml_dtypes.bfloat16, onnx.TensorProto.BFLOAT16),
    "float8e4m3fn": (ml_dtypes.float8_e4m3fn, onnx.TensorProto.FLOAT8E4M3FN),
    "float8e4m3fnuz": (ml_dtypes.float8_e4m3fnuz, onnx.TensorProto.FLOAT8E4M3FNUZ),
    "float8e5m2": (ml_dtypes.float8_e5m2, onnx.TensorProto.FLOAT8E5M2),
    "float8e5m2fnuz": (ml_dtypes.float8_e5m2fnuz, onnx.TensorProto.FLOAT8E5M2FNUZ),
    "int8": (np.int8, onnx.TensorProto.INT8),
    "int16": (np.int16, onnx.TensorProto.INT16),
    "int32": (np.int32, onnx.TensorProto.INT32),
    "int64": (np.int64, onnx.TensorProto.INT64),
    "uint8": (np.uint8, onnx.TensorProto.UINT8),
    "uint16": (np.uint16, onnx.TensorProto.UINT16),
    "uint32": (np.uint32, onnx.TensorProto.UINT32),
    "uint64": (np.uint64, onnx.TensorProto.UINT64),
    "bool": (np.bool_, onnx.TensorProto.BOOL),
    "string": (np.dtype(object), onnx.TensorProto.STRING),
}
NAMES = {np.dtype(held): name for name, (held, _) in DTYPES.items()}
TINY = {name for name in DTYPES if name.startswith(("bfloat", "float8"))}  # those numpy does not have
COARSE = TINY | {"float16"}


def record(folder, cases, predict=None):
    """Writes folder/expected.json: each case's inputs and the model's outputs.

    cases is a list of (name, {input name: array}); texts are arrays of dtype
    object. The model runs as it is, on one thread. predict(inputs) is what the
    first output must be.
    """
    path = Path(folder, "model.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    labels = zipmap_labels(onnx.load(path, load_external_data=False))
    inputs = [info(i) for i in session.get_inputs()]
    outputs = [info(o, labels.get(o.name)) for o in session.get_outputs()]
    coarse = any(i["dtype"] in COARSE for i in inputs + outputs)
    head = {
        "model": "model.onnx",
        "onnxruntime": ort.__version__,
        "rtol": 1e-3 if coarse else 1e-5,
        "inputs": inputs,
        "outputs": outputs,
    }
    lines = []
    for name, feed in cases:
        feed = {i["name"]: feed[i["name"]] for i in inputs}
        answers = run(session, feed, outputs)
        if predict:
            agree(np.ravel(answers[0]), np.ravel(predict(feed)), f"{folder}: {name}")
        lines.append(dumps({
            "name": name,
            "inputs": [{"name": n} | tensor(x) for n, x in feed.items()],
            "outputs": [{"name": o["name"]} | value(v, o) for o, v in zip(outputs, answers)],
        }))
    text = ",\n ".join(f"{dumps(k)}:{dumps(v)}" for k, v in head.items())
    text = "{" + text + ',\n "cases":[\n  ' + ",\n  ".join(lines) + "\n ]}\n"
    Path(folder, "expected.json").write_text(text, encoding="utf-8")


def zipmap_labels(model):
    """The class labels of each output that a server can serve as one tensor of
    scores: one made by a ZipMap whose scores the graph itself computes."""
    given = {i.name for i in model.graph.input}
    found = {}
    for node in model.graph.node:
        if node.op_type == "ZipMap" and node.input[0] not in given:
            for attribute in node.attribute:
                found[node.output[0]] = onnx.helper.get_attribute_value(attribute)
    return {name: [x.decode() if isinstance(x, bytes) else str(x) for x in v] for name, v in found.items()}


def info(arg, labels=None):
    """Describes an input or output of a session."""
    element = re.search(r"tensor\((\w+)\)", arg.type)[1]
    dtype = {"float": "float32", "double": "float64"}.get(element, element)
    if labels:
        return {"name": arg.name, "dtype": dtype, "shape": [-1, len(labels)], "labels": labels}
    if arg.type.startswith("seq("):
        return {"name": arg.name, "dtype": dtype, "kind": "sequence"}
    return {"name": arg.name, "dtype": dtype, "shape": [d if isinstance(d, int) else -1 for d in arg.shape]}


def run(session, feed, outputs):
    """Runs the session. Types that numpy does not have go in and out as bits."""
    if all(x.dtype in (object, bool) or NAMES[x.dtype] not in TINY for x in feed.values()):
        return session.run(None, feed)
    bits = {1: np.uint8, 2: np.uint16}
    held = {n: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(x).view(bits[x.itemsize]),
                                                                DTYPES[NAMES[x.dtype]][1]) for n, x in feed.items()}
    answers = []
    for o, v in zip(outputs, session.run_with_ort_values(None, held)):
        dtype = np.dtype(DTYPES[o["dtype"]][0])
        raw = ctypes.string_at(v.data_ptr(), math.prod(v.shape()) * dtype.itemsize)
        answers.append(np.frombuffer(raw, dtype).reshape(v.shape()))
    return answers


def agree(got, want, what):
    """Raises unless ONNX Runtime answers what the training library does."""
    if got.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=1e-5, err_msg=what)
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def value(v, output):
    """An output as it is served."""
    if "labels" in output:
        rows = [{str(label): score for label, score in row.items()} for row in v]
        return tensor(np.array([[row[label] for label in output["labels"]] for row in rows], np.float32))
    if output.get("kind") != "sequence":
        return tensor(v)
    items = []
    for item in v:
        if isinstance(item, dict):
            keys = sorted(item)
            items.append({"keys": keys, "values": [number(np.float32(item[k])) for k in keys]})
        else:
            items.append({k: x for k, x in tensor(item).items() if k != "dtype"})
    return {"dtype": output["dtype"], "kind": "sequence", "data": items}


def tensor(x):
    x = np.asarray(x)
    name = "string" if x.dtype.kind in "UO" else NAMES[x.dtype]
    return {"dtype": name, "shape": list(x.shape), "data": [number(e) for e in x.reshape(-1)]}


class Digits(str):
    """A float as it is to be written."""


def number(e):
    """One element as JSON has it: a float in the fewest digits that give it
    back in its own type, or the name of what JSON cannot say."""
    if isinstance(e, str):
        return e
    if e.dtype.kind in "biu":
        return e.item()
    if np.isnan(e):
        return "NaN"
    if np.isinf(e):
        return "Infinity" if e > 0 else "-Infinity"
    if e == 0:
        return Digits("-0.0" if np.signbit(e) else "0")
    if NAMES[e.dtype] in TINY:
        tries = (float(f"{float(e):.{places}g}") for places in range(1, 10))
        e = np.float64(next(t for t in tries if e.dtype.type(t) == e))
    positional = 1e-5 <= abs(float(e)) < 1e16
    return Digits((np.format_float_positional if positional else np.format_float_scientific)(e, trim="-"))


def dumps(x):
    """Compact JSON. json.dumps would write every float as a float64."""
    if isinstance(x, dict):
        return "{" + ",".join(json.dumps(k) + ":" + dumps(v) for k, v in x.items()) + "}"
    if isinstance(x, list):
        return "[" + ",".join(map(dumps, x)) + "]"
    if isinstance(x, Digits):
        return x
    return json.dumps(x, ensure_ascii=False)
