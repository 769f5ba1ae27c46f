"""Tensors for bodies of JSON."""
import values
from case import wanted
from jsontext import nested, numerals, words
from values import chance, pick


def said(rng, array):
    """array's values for a body: without JSON's missing numbers, or with the words for them."""
    return words(nested(array)) if chance(rng, .5) else nested(array)


def a_numeral(rng, tensors):
    """What writes the numbers of tensors, if they are of one type."""
    types = {values.type_name(a) for _, a in tensors}
    return numerals(rng, types.pop()) if len(types) == 1 else None


def inputs(rng, n, rows=None, rank=None):
    """n named tensors, of as many rows if rows says how many."""
    out = []
    for name in values.names(rng, n):
        r = rank or int(rng.choice([1, 2, 3], p=[.3, .5, .2])) if rows is not None else rank
        out.append((name, values.tensor(rng, pick(rng, values.EVERY), values.shape(rng, r, rows))))
    return out


def wants(rng, tensors):
    return [wanted(rng, *t) for t in tensors]


def how_many(rng):
    """How many inputs a model has."""
    return int(rng.choice([1, 2, 3, 20], p=[.6, .2, .15, .05]))
