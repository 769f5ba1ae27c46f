"""JSON in the dialects of model servers, and JSON Lines."""
import json

import numpy as np

import values
from case import Case, wanted
from jsontext import dump, load, nested, to_array
from jsonvalues import a_numeral, how_many, inputs, said, wants
from v2forms import read_v2, read_v2_binary
from values import chance, pick


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


def read_json(spec, body):
    if spec["options"]["type"]:
        return read_v2_binary(spec, body, spec["options"]["binary"].get)
    document, tensors, dialect = load(body), spec["tensors"], spec["dialect"]
    if dialect == "v2":
        return read_v2(spec, document, b"", spec["options"]["binary"].get)
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
    return [(t["name"], to_array(c, t)) for t, c in zip(tensors, columns, strict=True)]


def read_lines(spec, body):
    text = body.decode()
    assert "\r" not in text
    lines = text.split("\n") if text else []
    if spec["options"]["trailing"] and lines:
        assert lines.pop() == ""
    columns = from_rows(spec, [load(line) for line in lines])
    return [(t["name"], to_array(c, t)) for t, c in zip(spec["tensors"], columns, strict=True)]


WRITE = {"json/bare": write_bare, "json/instances": write_instances, "json/inputs": write_inputs, "json/pandas": write_pandas,
         "json/infer": write_infer, "jsonlines": write_lines}
READ = {"json": read_json, "jsonlines": read_lines}
