"""JSON text: values as Python's json writes them, and as others may."""
import json
import math

import numpy as np

import values
from values import chance, pick


def nested(array):
    """array as nested lists of Python's own numbers."""
    if array.dtype == object or array.dtype.kind in "biu":
        return array.tolist()
    return array.astype(np.float64).tolist()


def words(value):
    """value with the strings for what JSON has no numbers for."""
    if isinstance(value, list):
        return [words(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def dump(rng, document, numerals=None):
    """document as JSON. numerals, where given, writes the numbers instead of Python's json."""
    plain = chance(rng, .5)
    if numerals is None or chance(rng, .5):
        indent = pick(rng, [None, None, None, 1])
        separators = None if plain or indent else (",", ":")
        return json.dumps(document, indent=indent, separators=separators, ensure_ascii=chance(rng, .5)).encode()
    spaces = [""] if plain else ["", " ", "\n", "\t", " \r\n  "]

    def put(value):
        if isinstance(value, dict):
            members = [f"{blank()}{json.dumps(k)}{blank()}:{put(v)}" for k, v in value.items()]
            text = "{" + ",".join(members) + "}"
        elif isinstance(value, list):
            text = "[" + (",".join([put(v) for v in value]) or blank()) + "]"
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            text = numerals(value)
        else:
            text = json.dumps(value, ensure_ascii=plain)
        return blank() + text + blank() if len(spaces) > 1 else text

    def blank():
        return spaces[int(rng.integers(len(spaces)))]

    return put(document).encode()


def numerals(rng, dtype):
    """A function that writes numbers in one of the ways in which they are still the same elements of type dtype."""
    form = int(rng.integers(8))
    single = np.float16 if dtype == "float16" else np.float32
    narrow = dtype != "float64" and values.is_float(dtype)

    def put(v):
        whole = isinstance(v, int) or v.is_integer()
        if isinstance(v, int) and values.is_float(dtype):
            v = float(v)
        if isinstance(v, int):
            if form == 0:
                return f"{v}.0"
            if form == 1:
                return f"{v}e0"
            if form == 2 and v % 100 == 0:
                return f"{v // 100}E+2"
            if form == 3 and v:
                return f"{v}000.00e-3"
            return str(v)
        if form == 0 and whole and abs(v) <= 2**53 and v:
            return str(int(v))
        if form == 1:
            return "%.17g" % v if not whole else "%.17e" % v
        if form == 2:
            return "%.45e" % v
        if form == 3 and 1e-9 < abs(v) < 1e15:
            return "%.80f" % v  # to the last digit
        if form == 4 and narrow:
            return np.format_float_scientific(single(v), trim="-" if "e" in dtype else "0")
        if form == 5 and narrow:
            return np.format_float_positional(single(v), trim="0")
        if form == 6 and v:
            return repr(v) + ("e+0" if "e" not in repr(v) else "")
        return repr(v)

    return put


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


def to_array(value, t, dims=None):
    elements = [element(v, t["dtype"]) for v in flat(value, t["shape"] if dims is None else dims)]
    return np.array(elements, dtype=values.numpy_type(t["dtype"])).reshape(t["shape"])
