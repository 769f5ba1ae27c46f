"""KServe V2, in JSON and with its binary extension."""
import math
import struct

import numpy as np

import values
from case import Case
from jsontext import dump, load, to_array
from jsonvalues import a_numeral, how_many, inputs, said, wants
from values import chance

V2 = {"BOOL": "bool", "BYTES": "string", "FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "bfloat16",
      "FLOAT8E4M3FN": "float8e4m3fn", "FLOAT8E4M3FNUZ": "float8e4m3fnuz", "FLOAT8E5M2": "float8e5m2", "FLOAT8E5M2FNUZ": "float8e5m2fnuz",
      } | {name.upper(): name for name in values.INTEGERS}
V2_NAMES = {v: k for k, v in V2.items()}


def shuffled(rng, members):
    keys = list(members)
    return {keys[i]: members[keys[i]] for i in rng.permutation(len(keys))}


def v2_elements(array):
    """array as the binary extension has it."""
    if array.dtype != object:
        return array.tobytes()
    return b"".join(struct.pack("<I", len(t)) + t for t in (s.encode() for s in array.ravel()))


def v2_request(rng, tensors, binary):
    """A request, what follows it in binary, what it asks for, and whether its numbers may be written in any way."""
    document, found, sent, tails = {}, {}, [], []
    for name, array in tensors:
        sent.append({"name": name, "shape": list(array.shape), "datatype": V2_NAMES[values.type_name(array)]})
        if chance(rng, .1):
            sent[-1]["parameters"] = {"content_type": "np", "n": [1, {}]}
        if binary and chance(rng, .8):
            tails.append(v2_elements(array))
            sent[-1].setdefault("parameters", {})["binary_data_size"] = len(tails[-1])
            continue
        tails.append(b"")
        if chance(rng, .7):
            sent[-1]["data"] = said(rng, array.ravel())
        else:
            sent[-1]["data"] = said(rng, array) if array.ndim else [said(rng, array)]
    order = rng.permutation(len(sent))
    document["inputs"] = [shuffled(rng, sent[i]) for i in order]
    if chance(rng, .5):
        document["id"] = found["ID"] = values.text(rng)
    if chance(rng, .3):
        names = values.names(rng, int(rng.integers(1, 4)))
        found["Outputs"] = [{"Name": name, "Binary": chance(rng, .2)} for name in names]
        document["outputs"] = [shuffled(rng, {"name": o["Name"], "parameters": {"binary_data": o["Binary"]}}) for o in found["Outputs"]]
    elif chance(rng, .2):
        found["Binary"] = chance(rng, .5)
        document["parameters"] = {"binary_data_output": found["Binary"], "priority": 1}
    return shuffled(rng, document), b"".join(tails[i] for i in order), found


def write_v2(rng, binary=False):
    tensors = inputs(rng, how_many(rng))
    want, expected, notes, params = wants(rng, tensors), list(tensors), [], {}
    document, tail, found = v2_request(rng, tensors, binary)
    for i, (name, array) in enumerate(tensors):
        if chance(rng, .2) and (other := values.convert(rng, array)) is not None:
            want[i]["dtype"], expected[i] = values.type_name(other), (name, other)
            notes.append(f"{values.type_name(array)} to {want[i]['dtype']}")
    body = dump(rng, document, a_numeral(rng, tensors) if not notes else None)
    if binary:
        body += b" " * (-len(body) % 8 if chance(rng, .5) else 0)
        params["json-header-size"] = str(len(body))
    return Case(body + tail, expected, want, params, "v2", "; ".join(notes), {"found": found})


def write_v2_binary(rng):
    return write_v2(rng, binary=True)


def read_v2(spec, document, tail, binary):
    """A reply whose outputs are binary or not as the function binary says of their names."""
    assert document["model_name"] == "m" and document.get("id", "") == spec["options"]["id"]
    out = []
    for t, o in zip(spec["tensors"], document["outputs"], strict=True):
        assert o["name"] == t["name"] and V2[o["datatype"]] == t["dtype"] and o["shape"] == t["shape"], o
        assert ("data" not in o) == binary(t["name"]), o
        n = math.prod(t["shape"])
        if "data" in o:
            out.append((t["name"], to_array(o["data"], t, [n])))
            continue
        size = o["parameters"]["binary_data_size"]
        raw, tail = tail[:size], tail[size:]
        assert len(raw) == size
        out.append((t["name"], from_binary(raw, n, t["dtype"]).reshape(t["shape"])))
    assert not tail
    return out


def from_binary(raw, n, dtype):
    if dtype != "string":
        return np.frombuffer(raw, values.numpy_type(dtype), n)
    texts = np.empty(n, dtype=object)
    for i in range(n):
        size, = struct.unpack_from("<I", raw)
        texts[i], raw = raw[4:4 + size].decode(), raw[4 + size:]
    assert not raw
    return texts


def read_v2_binary(spec, body, binary=lambda name: True):
    kind, parameter = spec["options"]["type"].split(";")
    assert kind == "application/vnd.sagemaker-triton.binary+json" and parameter.startswith("json-header-size=")
    n = int(parameter.partition("=")[2])
    return read_v2(spec, load(body[:n]), body[n:], binary)


WRITE = {"json/v2": write_v2, "v2binary": write_v2_binary}
READ = {"v2binary": read_v2_binary}
