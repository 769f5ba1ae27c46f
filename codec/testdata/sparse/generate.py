"""Writes cases.jsonl: sparse matrices as SciPy saves them, with what SciPy's toarray makes of them.

pip install scipy, then: python generate.py

Each line is a case: "body" is the file, "want" the model's input (absent: none is known), "tensors" what is read, its
elements in base64.
"""

import base64, io, json
import numpy as np
import scipy.sparse as sp

cases = []


def case(name, matrix, dtype=None, shape=None, compressed=True, body=None):
    f = io.BytesIO()
    sp.save_npz(f, matrix, compressed=compressed)
    body = body or f.getvalue()
    dense = sp.load_npz(io.BytesIO(body)).toarray()
    dense = dense.astype(dense.dtype.newbyteorder("<"))
    c = {"name": name, "body": base64.b64encode(body).decode()}
    if shape:
        dense = dense.astype(dtype)
        c["want"] = [{"name": "x", "dtype": dtype, "shape": shape}]
        if -1 not in shape[1:]:
            dense = dense.reshape((len(dense),) + tuple(shape[1:]))
    c["tensors"] = [{"name": "x" if shape else "data", "dtype": str(dense.dtype), "shape": list(dense.shape), "data": base64.b64encode(dense.tobytes()).decode()}]
    cases.append(c)


def npz(**arrays):
    f = io.BytesIO()
    np.savez(f, **arrays)
    return f.getvalue()


def main():
    rng = np.random.default_rng(1)
    kinds = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
    for format in ("csr", "csc", "coo"):
        for dtype in kinds:
            a = np.where(rng.random((4, 6)) < 0.4, rng.integers(0, 100, (4, 6)), 0).astype(dtype)
            case("%s %s" % (format, dtype), getattr(sp, format + "_matrix")(a), compressed=dtype != "float32")
        x = np.where(rng.random((5, 8)) < 0.3, rng.standard_normal((5, 8)), 0)
        matrix, array = getattr(sp, format + "_matrix"), getattr(sp, format + "_array")
        case(format + " for a model, deflated", matrix(x), "float32", [-1, 8])
        case(format + " as an array", array(x), "float64", [-1, -1])
        case(format + " of integers for floats", matrix(np.int64(x * 9)), "float32", [-1, 8])
        case(format + " for rows of several dimensions", matrix(x), "float64", [-1, 2, 4])
        case(format + " without elements", matrix((3, 2)), "float64", [-1, 2])
        case(format + " without columns", matrix((3, 0)), "float64", [-1, -1])
    # What is there twice is summed; what is not in order is put in it.
    row, col = [0, 2, 0, 0, 1], [1, 0, 1, 3, 1]
    case("coo, summed", sp.coo_matrix((np.float32([1, 2, 3, 4, 5]), (row, col)), shape=(3, 4)))
    case("coo, bools", sp.coo_matrix((np.array([True] * 5), (row, col)), shape=(3, 4)))
    case("coo, integers that wrap", sp.coo_matrix((np.int8([100, 2, 100, 4, 5]), (row, col)), shape=(3, 4)))
    case("csr, summed and not in order", sp.csr_matrix((np.float64([1, 2, 3, 4]), [3, 0, 3, 1], [0, 3, 3, 4]), shape=(3, 4)))
    case("csc, summed and not in order", sp.csc_matrix((np.float64([1, 2, 3, 4]), [2, 0, 2, 1], [0, 3, 3, 4]), shape=(3, 3)))
    m = sp.coo_matrix((np.float32([1, 2]), ([0, 1], [2, 0])), shape=(2, 3))
    case("coo by coords", m, body=npz(format=b"coo", shape=m.shape, data=m.data, coords=np.array([m.row, m.col]), _is_array=True))
    case("a format in Unicode", m, body=npz(format="coo", shape=m.shape, data=m.data, row=m.row, col=m.col))
    case("more elements than indptr counts", m, body=npz(format=b"csr", shape=(2, 3), data=np.float32([1, 2, 3]), indices=np.int32([0, 2, 1]), indptr=np.int32([0, 1, 2])))
    case("indices of 64 bits, big-endian", m, body=npz(format=b"csr", shape=(2, 3), data=np.array([1, 2], ">f4"), indices=np.array([0, 2], ">i8"), indptr=np.array([0, 1, 2], ">i8")))
    with open("cases.jsonl", "w") as f:
        for c in cases:
            f.write(json.dumps(c) + "\n")
    print(len(cases), "cases")


main()
