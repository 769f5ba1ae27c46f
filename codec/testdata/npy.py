"""Writes npy.zip, numpy-dense.npz and numpy-deflated.npz: what NumPy writes, for the tests of NPY and NPZ.

Every array of npy.zip holds 0, 1, 2, ... in row-major order (strings: "", "a", "bé", "c漢d" and again; bools: odd ones
true) and is named TYPE-ORDER-VERSION-SHAPE, as in >f4-F-2-3x4.npy. The archives are stored with a fixed time: running
this again changes nothing.

    python npy.py     # numpy 2.4.6, ml_dtypes 0.6.0
"""

import io
import zipfile

import ml_dtypes
import numpy as np

WORDS = ["", "a", "bé", "c漢d"]
EPOCH = (1980, 1, 1, 0, 0, 0)


def array(dtype, shape):
    n = int(np.prod(shape))
    if dtype.lstrip("<>|")[0] == "U":
        return np.array([WORDS[i % 4] for i in range(n)], dtype=dtype).reshape(shape)
    if dtype.lstrip("<>|")[0] == "S":
        return np.array([WORDS[i % 4].encode() for i in range(n)], dtype=dtype).reshape(shape)
    if hasattr(ml_dtypes, dtype):
        return np.arange(n).astype(getattr(ml_dtypes, dtype)).reshape(shape)
    if dtype == "|b1":
        return (np.arange(n) % 2 == 1).reshape(shape)
    return np.arange(n).astype(dtype).reshape(shape)


def cases():
    plain = ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<U3", "|S6",
             "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]
    for dtype in plain:
        for shape in [(2, 3), ()]:
            yield dtype, "C", 1, shape
        yield dtype, "F", 1, (2, 3)
    for dtype in [">i2", ">u2", ">i4", ">u4", ">i8", ">u8", ">f2", ">f4", ">f8", ">U3"]:
        yield dtype, "C", 1, (2, 3)
        yield dtype, "F", 1, (3, 4)
    for shape in [(5,), (0, 4), (4, 0), (1, 1), (2, 3, 4), (2, 1, 3, 2), (7, 1)]:
        yield "<f4", "C", 1, shape
        yield "<f4", "F", 1, shape
    for version in [2, 3]:
        for order in "CF":
            yield "<f4", order, version, (3, 4)
    yield "<f4", "C", 1, (1000, 3)  # the header's padding depends on how long the shape is
    yield "|u1", "C", 1, (1,) * 30  # ... and takes a second block of 64
    yield "|u1", "C", 1, (1,) * 13 + (100,)  # ... which is 64 more where nothing was missing


def main():
    with zipfile.ZipFile("npy.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for dtype, order, version, shape in cases():
            f = io.BytesIO()
            a = np.asarray(array(dtype, shape), order=order)
            if dtype.startswith(">"):
                a = a.astype(dtype)
            np.lib.format.write_array(f, a, version=(version, 0))
            name = f"{dtype.replace('|', '').replace('<', '')}-{order}-{version}-{'x'.join(map(str, shape))}.npy"
            z.writestr(zipfile.ZipInfo(name, EPOCH), f.getvalue(), zipfile.ZIP_DEFLATED)
    arrays = {"b": np.array([[True, False]]), "a/x:0": np.arange(4, dtype=np.float32).reshape(2, 2), "é": np.array(["ü", "long"])}
    np.savez("numpy-dense.npz", **arrays)
    np.savez_compressed("numpy-deflated.npz", **arrays)


if __name__ == "__main__":
    main()
