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
