"""Random tensors: everything that a format must carry unchanged, the odd values more often than chance has them."""
import math

import ml_dtypes
import numpy as np

FLOATS = ["float32", "float64", "float16"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
SMALL = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
}
NUMPY = FLOATS + INTEGERS + ["bool"]
EVERY = NUMPY + list(SMALL) + ["string"]

_NAMES = {np.dtype(v): k for k, v in SMALL.items()} | {np.dtype(object): "string"}


def numpy_type(name):
    """The numpy type of a type's name as Clary has it; strings are objects."""
    if name == "string":
        return np.dtype(object)
    return np.dtype(SMALL.get(name, name))


def type_name(array):
    return _NAMES.get(array.dtype, array.dtype.name)


def is_float(name):
    return name in FLOATS or name in SMALL


def size_of(name):
    return numpy_type(name).itemsize


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def chance(rng, p):
    return rng.random() < p


def shape(rng, rank=None, rows=None):
    """A shape, mostly small, with at most one dimension of zero."""
    if rank is None:
        rank = int(rng.choice([0, 1, 2, 3, 4], p=[.1, .3, .4, .15, .05]))
    dims = [int(d) for d in rng.integers(1, 6, rank)]
    if rank and chance(rng, .05):
        dims[int(rng.integers(rank))] = int(rng.integers(20, 400))
    if rank and chance(rng, .1):
        dims[int(rng.integers(rank))] = 0
    if rows is not None and rank:
        if rows == 0:
            dims = [max(d, 1) for d in dims]
        dims[0] = rows
    return tuple(dims)


def rows(rng):
    """How many rows a body has."""
    return int(rng.choice([0, 1, 2, 3, 7, 40], p=[.05, .3, .2, .2, .2, .05]))


def opened(rng, dims):
    """The shape of an input that takes dims, some of its dimensions open (-1). What lies behind a dimension of zero
    cannot be seen in text and stays closed."""
    out, seen = [], True
    for i, d in enumerate(dims):
        out.append(-1 if seen and chance(rng, .9 if i == 0 else .3) else d)
        seen = seen and d > 0
    return out


def floats(rng, name, n, finite=False):
    """n values of a float type."""
    dtype = numpy_type(name)
    match int(rng.integers(7)):
        case 0 | 1:
            bits = rng.integers(0, 256, n * dtype.itemsize, dtype=np.uint8)
            v = bits.view(dtype) if n else np.zeros(0, dtype)
        case 2:
            v = (rng.standard_normal(n) * 10.0 ** rng.integers(-9, 9)).astype(dtype)
        case 3:
            v = rng.random(n).astype(np.float32).astype(dtype)
        case 4:
            v = rng.integers(-10, 1000, n).astype(np.float64).astype(dtype)
        case 5:
            v = np.round(rng.standard_normal(n) * 100, int(rng.integers(0, 9))).astype(dtype)
        case _:
            info = ml_dtypes.finfo(dtype)
            some = [0.0, -0.0, math.nan, math.inf, -math.inf, float(info.max), float(info.min), float(info.tiny),
                    float(info.smallest_subnormal), -float(info.smallest_subnormal), float(info.eps), 1.0, 0.1,
                    1e-6, 1e-7, 123456.789, 2.0**53, 2.0**53 + 2, 2.0**64, 1e21, 1e22, 1e23, 16777217.0]
            v = np.array([pick(rng, some) for _ in range(n)], dtype=np.float64).astype(dtype)
    if finite or name in SMALL:
        v = np.where(np.isfinite(v), v, np.ones(n, dtype))
    if name in SMALL and not finite and n and chance(rng, .3):
        v[int(rng.integers(n))] = math.nan
        if name in ("bfloat16", "float8e5m2"):
            v[int(rng.integers(n))] = -math.inf
    return v


def integers(rng, name, n):
    info = np.iinfo(name)
    match int(rng.integers(4)):
        case 0:
            v = rng.integers(info.min, info.max, n, dtype=name, endpoint=True)
        case 1:
            v = rng.integers(0, 10, n).astype(name)
        case 2:
            v = rng.integers(info.min, info.max, n, dtype=name, endpoint=True) >> int(rng.integers(8 * info.dtype.itemsize))
        case _:
            some = [info.min, info.max, info.max - 1, 0, 1, 10, 99, 100]
            v = np.array([pick(rng, some) for _ in range(n)], dtype=name)
    return v.astype(name)


_PIECES = ["", "a", "setosa", "hello, world", '"', '""', "'", "\n", "\r\n", "\r", "\t", " ", "  ", "\\", "\\n", "\\u0041", "/", "1.5",
           "NaN", "true", "null", "-inf", "é", "ß", "日本語", "😀", "👩\u200d🔬", "e\u0301", "\u202e", "\u2028", "\u00a0", "\x7f", "\x1f",
           "\x01", "\x08", "\x0c", "\x1b[0m", "\ufeff", "\uffff", "\U0010ffff", "\u0080", "\ud7ff", "\ue000", "{}", "[1,2]", ":",
           "#", ";", "|", "<b>", "&amp;", "=1+1", "x" * 50]


def text(rng, nul=True):
    """One string of any characters."""
    s = "".join(pick(rng, _PIECES) for _ in range(int(rng.choice([0, 1, 2, 3, 8], p=[.1, .4, .2, .2, .1]))))
    if nul and chance(rng, .03):
        s += "\0" + pick(rng, _PIECES)
    return s


def strings(rng, n, nul=True):
    v = np.empty(n, dtype=object)
    v[:] = [text(rng, nul) for _ in range(n)]
    return v


def data(rng, name, n, finite=False):
    if name == "string":
        return strings(rng, n)
    if name == "bool":
        return rng.integers(0, 2, n).astype(bool)
    if is_float(name):
        return floats(rng, name, n, finite)
    return integers(rng, name, n)


def tensor(rng, name, dims, finite=False):
    """A random array of that type and shape."""
    return data(rng, name, math.prod(dims), finite).reshape(dims)


_NAMES_OF_INPUTS = ["x", "input", "age", "Größe", "a/b:0", "data 1", "instances", "inputs", "features", "values", "名前", "t_0", "float_input", "i.j", "x'y"]


def names(rng, n, unusual=True):
    """n different names of inputs."""
    pool = _NAMES_OF_INPUTS + (['say "hi"', "back\\slash", "tab\tbed", "new\nline", "😀"] if unusual else [])
    return [pool[i] for i in rng.permutation(len(pool))[:n]]


def convert(rng, array):
    """array in another type, by the rules by which a body goes into a model's input: exactly or, between floats, to the
    nearest; None where those refuse it."""
    source, target = type_name(array), pick(rng, NUMPY + ["bfloat16", "float8e5m2"])
    if source in ("string", "bool", target) or source in SMALL or source in ("float64", "uint8") and target in SMALL:
        return None
    if is_float(source) and is_float(target):
        out = array.astype(numpy_type(target))
        return out if same_kind(array, out) else None
    exact = [int(v) if source in INTEGERS or float(v).is_integer() else None for v in array.ravel()]
    if None in exact:
        return None
    if is_float(target):
        out = array.astype(numpy_type(target))
        return out if all(abs(v) <= 2**53 for v in exact) and same_kind(array, out) else None
    low, high = (0, 1) if target == "bool" else (np.iinfo(target).min, np.iinfo(target).max)
    return np.array(exact, dtype=target).reshape(array.shape) if all(low <= v <= high for v in exact) else None


def same_kind(a, b):
    """Whether no value of a became an infinity or NaN in b."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.array_equal(np.isnan(a), np.isnan(b)) and np.array_equal(np.isinf(a), np.isinf(b))
