"""CSV as Python's csv, NumPy and pandas write and read it."""
import csv
import io
import math

import numpy as np

import values
from case import Case, wanted, wanted_columns
from jsontext import numerals
from values import chance, pick


def cells(rng, array):
    """array's elements as text, row-major."""
    name = values.type_name(array)
    flat = array.ravel().tolist() if name not in values.SMALL else array.astype(np.float64).ravel().tolist()
    if name == "string":
        return flat
    if name == "bool":
        forms = pick(rng, [("False", "True"), ("false", "true"), ("0", "1"), ("FALSE", "TRUE")])
        return [forms[v] for v in flat]
    put, space = numerals(rng, name), pick(rng, ["", "", "", " ", "\t "])
    missing, infinite = pick(rng, ["", "nan", "NaN", "NAN", "-nan"]), pick(rng, ["inf", "Infinity", "INF"])

    def one(v):
        if isinstance(v, float) and not math.isfinite(v):
            return missing if v != v else infinite if v > 0 else "-" + infinite
        return space + put(v) + space
    return [one(v) for v in flat]


def inputs(rng, rows, types):
    """Tensors of common rows whose columns a model can count."""
    out = []
    for name in values.names(rng, int(rng.choice([1, 2, 3, 12], p=[.55, .2, .2, .05]))):
        dims = [max(d, 1) for d in values.shape(rng, int(rng.choice([1, 2, 3], p=[.3, .5, .2])), rows)]
        out.append((name, values.tensor(rng, pick(rng, types), tuple(dims))))
    return out


def by_csv(rng, table, delimiter, lines):
    """What Python's csv writes of rows of text."""
    for quoting in [pick(rng, [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), csv.QUOTE_ALL]:
        out = io.StringIO(newline="")
        end = pick(rng, ["\n", "\r\n"])
        writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
        for row in table:
            writer.writerow(row)
            if not lines and chance(rng, .03):
                out.write(pick(rng, [end, " " + end]))
        if list(filter(any, csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))) == list(filter(any, table)):
            break  # else a carriage return was not quoted
    text = out.getvalue()
    return text.removesuffix(end) if chance(rng, .3) and not text.endswith('""' + end) else text


def encode(rng, text):
    """text as bytes, with a byte order mark now and then."""
    if chance(rng, .1) or text.startswith("\ufeff"):
        text = "\ufeff" + text
    return text.encode()


def write_csv(rng):
    rows = max(values.rows(rng), 1)
    tensors = inputs(rng, rows, values.EVERY)
    want, params, note = wanted_columns(rng, tensors), {}, ""
    delimiter = pick(rng, [",", ",", ",", ";", "\t", "|"])
    if delimiter != ",":
        params["delimiter"] = delimiter
    if not any(str(v).strip() for _, a in tensors for v in a.ravel()):
        tensors[0][1].flat[0] = "x"  # blanks alone are an empty body
    columns = [np.array(cells(rng, a), dtype=object).reshape(rows, -1) for _, a in tensors]
    single = all(c.shape[1] == 1 for c in columns)
    order = rng.permutation(len(tensors)) if single and chance(rng, .4) else range(len(tensors))
    table = np.concatenate([columns[i] for i in order], axis=1).tolist()
    lines = len(table[0]) == 1 and values.type_name(tensors[0][1]) == "string"
    if chance(rng, .3) or list(order) != list(range(len(tensors))):
        params["header"] = "present"
        if single:
            table.insert(0, [tensors[i][0] for i in order])
        else:
            table.insert(0, [f"c{i}" for i in range(len(table[0]))])
    elif chance(rng, .1) and sum(a.size for _, a in tensors) > 1 and not lines:
        for w, (_, array) in zip(want, tensors):  # everything in one line
            w["shape"] = list(array.shape)
        table, note = [np.concatenate([c.ravel() for c in columns]).tolist()], "whole"
    return Case(encode(rng, by_csv(rng, table, delimiter, lines)), tensors, want, params, note=note)


def write_pandas(rng):
    import pandas as pd
    rows, n = max(values.rows(rng), 1), int(rng.integers(1, 8))
    types = [pick(rng, ["float64", "float32", "int64", "int8", "uint64", "bool", "string"]) for _ in range(n)]
    if chance(rng, .3):  # by NumPy, one matrix
        array = values.tensor(rng, pick(rng, ["float64", "float32", "int64"]), (rows, n))
        out = io.StringIO()
        np.savetxt(out, array, delimiter=",", fmt=pick(rng, ["%.18e", "%s", "%.17g"] if array.dtype.kind == "f" else ["%s", "%d"]))
        if array.dtype.kind == "f" and any(abs(v) > 2**53 and v.is_integer() for v in array.astype(np.float64).ravel()):
            return write_pandas(rng)  # an integer that a float does not hold for certain
        return Case(out.getvalue().encode(), [("x", array)], wanted_columns(rng, [("x", array)]), note="savetxt")
    tensors = [(name, values.data(rng, t, rows)) for name, t in zip(values.names(rng, n), types)]
    frame = pd.DataFrame({name: pd.Series(a, dtype=object if a.dtype == object else a.dtype) for name, a in tensors})
    header = chance(rng, .5)
    text = frame.to_csv(index=False, header=header, na_rep=pick(rng, ["", "nan"]), lineterminator="\n",
                        quoting=csv.QUOTE_ALL if "string" in types else csv.QUOTE_MINIMAL)
    want = [wanted(rng, *tensors[i]) for i in (rng.permutation(n) if header else range(n))]
    return Case(encode(rng, text), [next(t for t in tensors if t[0] == w["name"]) for w in want], want, {"header": "present"} if header else {})


def elements(texts, t):
    """A column's cells as elements; every one must be exactly one."""
    dtype = t["dtype"]
    if dtype == "string":
        out = texts
    elif dtype == "bool":
        out = [{"true": True, "false": False}[v] for v in texts]
    elif values.is_float(dtype):
        out = [float(v) for v in texts]
    else:
        out = [int(v) for v in texts]
    return np.array(out, dtype=values.numpy_type(dtype)).reshape(t["shape"])


def column_names(tensors):
    names = []
    for t in tensors:
        width = math.prod(t["shape"][1:])
        if len(t.get("labels", [])) == width:
            names += [f"{t['name']}_{label}" for label in t["labels"]]
        else:
            names += [t["name"]] if width == 1 else [f"{t['name']}_{i}" for i in range(width)]
    return names


def in_columns(tensors):
    """The outputs in the order of their columns: a classifier's label before its probabilities."""
    if len(tensors) == 2 and "labels" in tensors[0] and "labels" not in tensors[1] and math.prod(tensors[1]["shape"][1:]) == 1:
        if tensors[1]["dtype"] in values.INTEGERS + ["string"]:
            return tensors[::-1]
    return tensors


def read_csv(spec, body):
    params, tensors = spec.get("params", {}), in_columns(spec["tensors"])
    rows = list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=params.get("delimiter", ","), strict=True))
    if params.get("header") == "present":
        assert rows.pop(0) == column_names(tensors), "another header"
    assert len(rows) == (tensors[0]["shape"] or [1])[0], "another number of rows"
    assert not body or (body[-1:] == b"\n") == spec["options"]["trailing"] or not rows
    out, at = {}, 0
    for t in tensors:
        width = math.prod(t["shape"][1:])
        out[t["name"]] = elements([cell for row in rows for cell in row[at:at + width]], t)
        at += width
    assert all(len(row) == at for row in rows), "another number of columns"
    return [(t["name"], out[t["name"]]) for t in spec["tensors"]]


def read_pandas(spec, body):
    import pandas as pd
    types = [t["dtype"] for t in spec["tensors"] for _ in range(math.prod(t["shape"][1:]))]
    header = spec.get("params", {}).get("header") == "present"
    labels = column_names(spec["tensors"]) if header else range(len(types))
    numbers = {label: t for label, t in zip(labels, types) if t != "string"}
    frame = pd.read_csv(io.BytesIO(body), header=0 if header else None, float_precision="round_trip", keep_default_na=False,
                        na_values={label: ["NaN"] for label in numbers}, converters={label: str for label in labels if label not in numbers},
                        dtype={label: "float64" if t == "float16" else t for label, t in numbers.items()})
    assert list(frame.columns) == list(labels)
    out, at = [], 0
    for t in spec["tensors"]:
        width = math.prod(t["shape"][1:])
        columns = [frame.iloc[:, i].to_numpy() for i in range(at, at + width)]
        dtype = values.numpy_type(t["dtype"])
        out.append((t["name"], np.stack([c.astype(dtype) for c in columns], axis=1).reshape(t["shape"])))
        at += width
    return out


WRITE = {"csv": write_csv, "csv/pandas": write_pandas}
READ = {"csv": read_csv, "csv/pandas": read_pandas}
