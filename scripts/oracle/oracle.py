"""Answers the differential tests of package codec, which start it, with what Python's reference libraries write and read.

Messages on standard input and output are alike: the length of a header (uint32, little-endian), the header (JSON, with
"blobs", the lengths of what follows it), the blobs. A request is one of

    {"op": "write", "format": F, "seed": S, "n": N}    N messages answer, each a body that a library wrote from random
                                                       tensors, and the tensors
    {"op": "read", "format": F, "n": N}                N messages follow, each a body and what it should hold; as many
                                                       answer, each with the tensors that a library found in it

A tensor is an entry {"name", "dtype", "shape"} of the header's "tensors" and a blob: its elements row-major and
little-endian, of strings each one's length (uint32) and UTF-8.
"""
import importlib
import json
import struct
import sys
import traceback

import numpy as np

from case import entry

# The formats of each module: only what a test asks for is imported.
MODULES = {
    "jsonforms": ["json", "json/bare", "json/instances", "json/inputs", "json/pandas", "json/infer", "jsonlines"],
    "v2forms": ["json/v2", "v2binary"],
    "csvforms": ["csv", "csv/pandas"],
    "arrays": ["npy", "npz", "npz/sparse", "octet-stream"],
    "tables": ["parquet", "arrow"],
    "images": ["image"],
    "records": ["recordio", "libsvm", "text"],
}


def find(format):
    for module, formats in MODULES.items():
        if format in formats:
            return importlib.import_module(module)
    raise KeyError(format)


def send(out, header, blobs):
    header["blobs"] = [len(b) for b in blobs]
    text = json.dumps(header).encode()
    out.write(struct.pack("<I", len(text)) + text)
    for b in blobs:
        out.write(b)


def receive(source):
    head = source.read(4)
    if not head:
        return None, []
    header = json.loads(source.read(struct.unpack("<I", head)[0]))
    return header, [source.read(n) for n in header["blobs"]]


def blob(array):
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [s.encode() for s in array.ravel()]
    return b"".join(struct.pack("<I", len(t)) + t for t in texts)


def write(out, module, request):
    for i in range(request["n"]):
        rng = np.random.Generator(np.random.PCG64([request["seed"], i]))
        case = module.WRITE[request["format"]](rng)
        header = {"tensors": [entry(*t) for t in case.tensors], "want": case.want, "params": case.params,
                  "dialect": case.dialect, "note": case.note, "options": case.options}
        send(out, header, [case.body] + [blob(a) for _, a in case.tensors])


def read(source, out, module, request):
    for _ in range(request["n"]):
        header, (body,) = receive(source)
        try:
            tensors = module.READ[request["format"]](header, body)
        except Exception:
            send(out, {"error": traceback.format_exc()}, [])
            continue
        send(out, {"tensors": [entry(*t) for t in tensors]}, [blob(np.asarray(a, order="C")) for _, a in tensors])


def main():
    np.seterr(all="ignore")
    source, out = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else writes among the messages
    while True:
        request, _ = receive(source)
        if request is None:
            return
        module = find(request["format"])
        if request["op"] == "write":
            write(out, module, request)
        else:
            read(source, out, module, request)
        out.flush()


main()
