"""JSON in the dialects of model servers, and JSON Lines."""
import json
import math

import numpy as np

import values
from case import Case, wanted
from jsontext import dump, nested, numerals, words
from values import chance, pick

V2 = {"BOOL": "bool", "BYTES": "string", "FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "bfloat16",
      "FLOAT8E4M3FN": "float8e4m3fn", "FLOAT8E4M3FNUZ": "float8e4m3fnuz", "FLOAT8E5M2": "float8e5m2", "FLOAT8E5M2FNUZ": "float8e5m2fnuz",
      } | {name.upper(): name for name in values.INTEGERS}
V2_NAMES = {v: k for k, v in V2.items()}


def said(rng, array):
    """array's values for a body: without JSON's missing numbers, or with the words for them."""
    return words(nested(array)) if chance(rng, .5) else nested(array)


def a_numeral(rng, tensors):
    """What writes the numbers of tensors, if they are of one type."""
    types = {values.type_name(a) for _, a in tensors}
    return numerals(rng, types.pop()) if len(types) == 1 else None


def inputs(rng, n, rows=None, rank=None):
    """n named tensors, of as many rows if rows says how many."""
    out = []
    for name in values.names(rng, n):
        r = rank or int(rng.choice([1, 2, 3], p=[.3, .5, .2])) if rows is not None else rank
        out.append((name, values.tensor(rng, pick(rng, values.EVERY), values.shape(rng, r, rows))))
    return out


def wants(rng, tensors):
    return [wanted(rng, *t) for t in tensors]


def how_many(rng):
    """How many inputs a model has."""
    return int(rng.choice([1, 2, 3, 20], p=[.6, .2, .15, .05]))


def write_bare(rng):
    if chance(rng, .2):  # rows of several inputs
        tensors = inputs(rng, int(rng.integers(2, 4)), rows=max(values.rows(rng), 1))
        rows = list(map(list, zip(*(said(rng, a) for _, a in tensors))))
        return Case(dump(rng, rows, a_numeral(rng, tensors)), tensors, wants(rng, tensors), dialect="bare")
    tensors = inputs(rng, 1)
    want = wants(rng, tensors)
    body, array = said(rng, tensors[0][1]), tensors[0][1]
    if array.ndim and array.shape[0] == 1 and array.size and chance(rng, .2):  # one row
        body, want[0]["shape"][1:] = body[0], list(array.shape[1:])
    return Case(dump(rng, body, a_numeral(rng, tensors)), tensors, want, dialect="bare")


def as_rows(rng, tensors):
    """The rows of tensors in one of the forms they may take, mixed now and then."""
    columns = [said(rng, a) for _, a in tensors]
    n = len(columns[0])
    forms = ["object", "list"] if len(tensors) > 1 else ["object", "value"]
    if len(tensors) == 1 and tensors[0][0] not in ("features", "data"):
        forms += ["features", "values", "data"]
    form = pick(rng, forms)

    def row(i):
        if form == "list":
            return [c[i] for c in columns]
        if form == "object":
            return {tensors[j][0]: columns[j][i] for j in rng.permutation(len(tensors))}
        value = columns[0][i]
        if form == "value":
            return value
        vector = value
        while isinstance(vector, list) and vector and isinstance(vector[0], list):
            vector = [v for part in vector for v in part]
        return {"features": {"features": vector}, "values": {"features": {"values": vector}}, "data": {"data": {"features": {"values": vector}}}}[form]

    rank = tensors[0][1].ndim
    if form in ("features", "values", "data") and (rank < 2 or not tensors[0][1].size):
        form = "value"
    return [row(i) for i in range(n)], form in ("features", "values", "data") and rank > 2


def row_inputs(rng, least=0):
    """Tensors of common rows, their rows and the model's inputs."""
    tensors = inputs(rng, how_many(rng), rows=max(values.rows(rng), least))
    rows, flat = as_rows(rng, tensors)
    want = wants(rng, tensors)
    if flat:  # a vector takes the input's dimensions when those are known
        want[0]["shape"][1:] = list(tensors[0][1].shape[1:])
    return tensors, rows, want


def around(rng, document):
    """document with keys beside it that say nothing."""
    if chance(rng, .2):
        document = {"signature_name": "serving_default"} | document
    if chance(rng, .2):
        document = document | {"configuration": {"a": [1, {"b": None}], "é": "\"[{"}, "z": -1.5e-3}
    return document


def write_instances(rng):
    tensors, rows, want = row_inputs(rng)
    key = "instances" if chance(rng, .8) else "dataframe_records"
    return Case(dump(rng, around(rng, {key: rows}), a_numeral(rng, tensors)), tensors, want)


def write_lines(rng):
    tensors, rows, want = row_inputs(rng, least=1)
    lines = []
    for row in rows:
        line = dump(rng, row, a_numeral(rng, tensors)).replace(b"\n", b" ").replace(b"\r", b" ")
        lines.append(line + pick(rng, [b"\n", b"\n", b"\r\n", b"\n\n"]))
    body = b"".join(lines)
    return Case(body.rstrip(b"\n") if chance(rng, .3) else body, tensors, want)


def write_inputs(rng):
    tensors = inputs(rng, how_many(rng))
    want = wants(rng, tensors)
    if len(tensors) == 1 and chance(rng, .5):
        document = said(rng, tensors[0][1])
    else:
        document = {tensors[i][0]: said(rng, tensors[i][1]) for i in rng.permutation(len(tensors))}
    return Case(dump(rng, around(rng, {"inputs": document}), a_numeral(rng, tensors)), tensors, want, dialect="columns")


def shuffled(rng, members):
    keys = list(members)
    return {keys[i]: members[keys[i]] for i in rng.permutation(len(keys))}


def write_v2(rng):
    tensors = inputs(rng, how_many(rng))
    want, sent, expected, notes = wants(rng, tensors), [], [], []
    for i, (name, array) in enumerate(tensors):
        data = said(rng, array)
        if chance(rng, .7):
            data = said(rng, array.ravel())
        elif array.ndim == 0:
            data = [data]
        sent.append({"name": name, "shape": list(array.shape), "datatype": V2_NAMES[values.type_name(array)], "data": data})
        if chance(rng, .1):
            sent[-1]["parameters"] = {"content_type": "np", "n": [1, {}]}
        if chance(rng, .2) and (other := values.convert(rng, array)) is not None:
            want[i]["dtype"] = values.type_name(other)
            array = other
            notes.append(f"{sent[-1]['datatype']} to {want[i]['dtype']}")
        expected.append((name, array))
    document, found = {"inputs": [shuffled(rng, sent[i]) for i in rng.permutation(len(sent))]}, {}
    if chance(rng, .5):
        document["id"] = found["id"] = values.text(rng)
    if chance(rng, .3):
        found["outputs"] = values.names(rng, int(rng.integers(1, 4)))
        document["outputs"] = [shuffled(rng, {"name": n, "parameters": {"binary_data": False}}) for n in found["outputs"]]
    form = a_numeral(rng, tensors) if not notes else None
    return Case(dump(rng, shuffled(rng, document), form), expected, want, dialect="v2", note="; ".join(notes), options=found)


def write_pandas(rng):
    import pandas as pd
    rows, n = max(values.rows(rng), 1), int(rng.integers(1, 6))
    one = chance(rng, .3)  # all columns to one input
    types = [pick(rng, ["float64", "float32", "int64", "int32", "bool", "string"]) for _ in range(n)]
    if one:
        types = [types[0]] * n
    names = values.names(rng, n) if not one or chance(rng, .5) else list(range(n))
    frame = pd.DataFrame({name: pd.Series(values.data(rng, t, rows, finite=True), dtype=object if t == "string" else t) for name, t in zip(names, types)})
    split = chance(rng, .6)
    if chance(rng, .6):
        text = frame.to_json(orient="split" if split else "records", double_precision=15, force_ascii=chance(rng, .5))
    else:
        text = json.dumps(frame.to_dict(orient="split" if split else "records"), default=lambda v: v.item())
    document = json.loads(text)  # pandas rounds to 15 decimals: what it wrote is what counts
    table = document["data"] if split else [list(row.values()) for row in document]
    columns = [np.array([row[j] for row in table], dtype=values.numpy_type(t)) for j, t in enumerate(types)]
    if any(values.is_float(t) and not np.isfinite(c).all() for t, c in zip(types, columns)):
        return write_pandas(rng)  # rounded up beyond the largest
    if one and split and (n > 1 or names == [0]):
        tensors = [("matrix", np.stack(columns, axis=1))]
    else:
        tensors = list(zip([str(name) for name in names], columns))
        if chance(rng, .3):
            tensors = [(name, c[:, np.newaxis]) for name, c in tensors]
    want = [wanted(rng, *tensors[i]) for i in rng.permutation(len(tensors))]
    for w in want:
        if w["name"] != "matrix":
            w["shape"][1:] = [1] * (len(w["shape"]) - 1)
    tensors = [next(t for t in tensors if t[0] == w["name"]) for w in want]
    if not split:
        text = '{"dataframe_records":' + text + "}"
    elif chance(rng, .5):
        text = '{"dataframe_split":' + text + "}"
    return Case(text.encode(), tensors, want)


def write_infer(rng):
    """A body of which no model says what it holds."""
    def tensor():
        while True:
            dims = values.shape(rng)
            array = values.tensor(rng, pick(rng, ["float64", "int64", "bool", "string"]), dims)
            if array.size:
                return array
    if chance(rng, .5):
        array = tensor()
        return Case(dump(rng, pick(rng, [lambda v: v, lambda v: {"inputs": v}])(nested(array))), [("", array)], dialect="any")
    tensors = [(name, tensor()) for name in values.names(rng, int(rng.integers(1, 4)))]
    return Case(dump(rng, {"inputs": {name: nested(a) for name, a in tensors}}), tensors, dialect="columns")


WRITE = {"json/bare": write_bare, "json/instances": write_instances, "json/inputs": write_inputs, "json/v2": write_v2,
         "json/pandas": write_pandas, "json/infer": write_infer, "jsonlines": write_lines}


def load(text):
    """JSON as the standard has it: Python takes NaN too."""
    def refuse(word):
        raise ValueError(f"{word} is no JSON")
    return json.loads(text, parse_constant=refuse)


def flat(value, dims):
    """The elements of nested lists, which must be of that shape."""
    if not dims:
        assert not isinstance(value, (list, dict)), f"{value!r} where an element is wanted"
        return [value]
    assert isinstance(value, list) and len(value) == dims[0], f"{value!r} where {dims} is wanted"
    return [e for v in value for e in flat(v, dims[1:])]


def element(value, dtype):
    if dtype == "string":
        assert isinstance(value, str), value
    elif dtype == "bool":
        assert isinstance(value, bool), value
    elif values.is_float(dtype):
        if isinstance(value, str):
            value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value]
        assert isinstance(value, (int, float)) and not isinstance(value, bool), value
        return float(value)
    else:
        assert isinstance(value, int) and not isinstance(value, bool), value
    return value


def array(value, t, dims=None):
    elements = [element(v, t["dtype"]) for v in flat(value, t["shape"] if dims is None else dims)]
    return np.array(elements, dtype=values.numpy_type(t["dtype"])).reshape(t["shape"])


def common_rows(tensors):
    return all(t["shape"] for t in tensors) and len({t["shape"][0] for t in tensors}) == 1


def entries(spec):
    """Whether a prediction is a classifier's, and whether its scores stand under their labels."""
    tensors = spec["tensors"]
    labels = "labels" in tensors[-1]
    classifier = labels and len(tensors) == 2 and len(tensors[0]["shape"]) == 1 and tensors[0]["dtype"] in ("int64", "string")
    return classifier, labels and (classifier or len(tensors) == 1) and spec.get("params", {}).get("probabilities") == "map"


def from_rows(spec, rows):
    """The values of each tensor from a list of predictions."""
    tensors = spec["tensors"]
    assert len(rows) == tensors[0]["shape"][0], "another number of rows"
    classifier, by_label = entries(spec)

    def scores(value):
        if not by_label:
            return value
        assert list(value) == tensors[-1]["labels"], value
        return list(value.values())

    if classifier:
        assert all(list(row) == ["label", "probabilities"] for row in rows), rows
        return [[row["label"] for row in rows], [scores(row["probabilities"]) for row in rows]]
    if len(tensors) == 1:
        return [[scores(row) for row in rows]]
    assert all(list(row) == [t["name"] for t in tensors] for row in rows), rows
    return [[row[t["name"]] for row in rows] for t in tensors]


def read_v2(spec, document):
    assert document["model_name"] == "m" and document.get("id") == spec["options"]["id"]
    out = []
    for t, o in zip(spec["tensors"], document["outputs"], strict=True):
        assert o["name"] == t["name"] and V2[o["datatype"]] == t["dtype"] and o["shape"] == t["shape"], o
        out.append((o["name"], array(o["data"], t, [math.prod(t["shape"])])))
    return out


def read_json(spec, body):
    document, tensors, dialect = load(body), spec["tensors"], spec["dialect"]
    if dialect == "v2":
        return read_v2(spec, document)
    if dialect == "rows" and common_rows(tensors):
        columns = from_rows(spec, document["predictions"])
    elif dialect == "bare" and common_rows(tensors) and any(entries(spec)):
        columns = from_rows(spec, document)
    elif dialect == "bare" and len(tensors) == 1:
        columns = [document]
    else:
        if dialect != "bare":
            document = document["outputs"]
        assert list(document) == [t["name"] for t in tensors], document
        columns = list(document.values())
    return [(t["name"], array(c, t)) for t, c in zip(tensors, columns, strict=True)]


def read_lines(spec, body):
    text = body.decode()
    assert "\r" not in text
    lines = text.split("\n") if text else []
    if spec["options"]["trailing"] and lines:
        assert lines.pop() == ""
    columns = from_rows(spec, [load(line) for line in lines])
    return [(t["name"], array(c, t)) for t, c in zip(spec["tensors"], columns, strict=True)]


READ = {"json": read_json, "jsonlines": read_lines}
