"""Makes vectors.json: request bodies as Triton's own client writes them, and what is in them.

Run with tritonclient 2, ml_dtypes and NumPy 2 in this folder; nothing of it is random.
"""
import base64, json

import ml_dtypes
import numpy as np
import tritonclient.http as http

DTYPES = {"BOOL": "bool", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
          "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "BYTES": object, "BF16": ml_dtypes.bfloat16}
rng = np.random.default_rng(20261122)


def array(kind, shape):
    n = int(np.prod(shape))
    if kind == "BYTES":
        a = np.array([bytes(rng.integers(0, 256, rng.integers(0, 6)).astype(np.uint8)) for _ in range(n)], dtype=object)
        return a.reshape(shape)
    if kind == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    raw = rng.integers(0, 256, n * np.dtype(DTYPES[kind]).itemsize).astype(np.uint8)
    return raw.view(DTYPES[kind]).reshape(shape)


vectors = []


def vector(tensors, outputs=None, **more):
    inputs, want = [], []
    for i, (kind, shape, binary) in enumerate(tensors):
        t = http.InferInput(f"t{i}", list(shape), kind)
        a = array(kind, shape) if binary else np.arange(int(np.prod(shape))).astype(DTYPES[kind]).reshape(shape)
        t.set_data_from_numpy(a, binary_data=binary)
        inputs.append(t)
        w = {"name": f"t{i}", "datatype": kind, "shape": list(shape)}
        if kind == "BYTES":
            w["strings"] = [base64.b64encode(s).decode() for s in a.flatten()]
        else:
            w["data"] = a.tobytes().hex()
        want.append(w)
    asked = [http.InferRequestedOutput(name, binary_data=binary) for name, binary in outputs or []]
    body, size = http.InferenceServerClient.generate_request_body(inputs, outputs=asked or None, **more)
    vectors.append({"json_header_size": size, "body": base64.b64encode(body).decode(), "tensors": want,
                    "outputs": outputs, "id": more.get("request_id", "")})


for kind in DTYPES:
    vector([(kind, (2, 3), True)])
    vector([(kind, (0, 3), True)])
vector([("FP32", (2, 2), True), ("BYTES", (3,), True), ("INT64", (4,), False), ("BOOL", (5, 1), True), ("FP64", (1,), True)],
       [("y", True), ("z", False)], request_id="r-1")
vector([("FP32", (2, 2), False)])
vector([("FP32", (2, 2), False)], [("y", True)])
vector([("UINT8", (1, 2, 2, 3), True)], [("y", False)])
with open("vectors.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(v) for v in vectors) + "\n]\n")
