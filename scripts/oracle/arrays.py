"""NumPy and SciPy: .npy, .npz, sparse matrices, raw elements."""
import io

import numpy as np

import values
from case import Case, entry, wanted
from values import chance, pick


def stored(rng, array):
    """array as a file may hold it, and what is unusual about that."""
    if array.dtype == object:
        if chance(rng, .3):
            return np.array([s.encode() for s in array.ravel()], dtype="S").reshape(array.shape), "S"
        array, note = np.array(array.ravel(), dtype="U").reshape(array.shape), "U"
    else:
        note = array.dtype.name
    if array.dtype.itemsize > 1 and array.dtype.kind in "iufU" and values.type_name(array) not in values.SMALL and chance(rng, .25):
        array, note = array.astype(array.dtype.newbyteorder(">")), note + ", big-endian"
    if array.ndim and chance(rng, .3):
        array, note = np.asfortranarray(array), note + ", Fortran"
    return array, note


def kept(array):
    """array as numpy keeps it: strings without NULs at their end."""
    if array.dtype == object:
        for i in np.ndindex(array.shape):
            array[i] = array[i].rstrip("\0")
    return array


def random_array(rng):
    return kept(values.tensor(rng, pick(rng, values.EVERY), values.shape(rng)))


def write_npy(rng):
    array = random_array(rng)
    file, note = stored(rng, array)
    out = io.BytesIO()
    version = pick(rng, [None, (1, 0), (2, 0), (3, 0)])
    np.lib.format.write_array(out, file, version=version, allow_pickle=False)
    note += f", version {version}"
    name, options = pick(rng, ["x", "名前", ""]), {}
    if chance(rng, .1) and values.type_name(array) not in values.SMALL:
        return Case(out.getvalue(), [("", array)], note=note)
    if chance(rng, .2) and (other := values.convert(rng, array)) is not None:
        array, note, options = other, note + f", to {values.type_name(other)}", {"converted": True}
    want = wanted(rng, name, array)
    if chance(rng, .1) and array.size:  # one row
        want["shape"] = [pick(rng, [-1, 1])] + list(array.shape)
        array, note = array[np.newaxis], note + ", one row"
    return Case(out.getvalue(), [(name, array)], [want], note=note, options=options)


def loaded(array, dtype):
    """What numpy loaded as the type that a model's output has."""
    if array.dtype.kind == "U":
        return array.astype(object)
    if dtype in values.SMALL:
        return array.view(values.SMALL[dtype])
    return array


def read_npy(spec, body):
    array = np.load(io.BytesIO(body), allow_pickle=False)
    again = io.BytesIO()
    np.save(again, array)
    name, dtype = spec["tensors"][0]["name"], spec["tensors"][0]["dtype"]
    assert dtype in values.SMALL or again.getvalue() == body, "numpy.save writes other bytes"
    return [(name, loaded(array, dtype))]


def write_npz(rng):
    names = values.names(rng, int(rng.integers(1, 5)), unusual=False)
    arrays = {name: random_array(rng) for name in names}
    files, notes = {}, []
    for name, array in arrays.items():
        files[name], note = stored(rng, array)
        notes.append(f"{name}: {note}")
    out = io.BytesIO()
    pick(rng, [np.savez, np.savez_compressed])(out, **files)
    if chance(rng, .1) and not any(values.type_name(a) in values.SMALL for a in arrays.values()):
        return Case(out.getvalue(), list(arrays.items()), note="; ".join(notes))
    order = [names[i] for i in rng.permutation(len(names))]
    want = [wanted(rng, name, arrays[name]) for name in order]
    if len(names) == 1:  # the only array goes to the only input
        want[0]["name"] = order[0] = pick(rng, ["y", names[0]])
        arrays = {order[0]: arrays[names[0]]}
    return Case(out.getvalue(), [(name, arrays[name]) for name in order], want, note="; ".join(notes))


def read_npz(spec, body):
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        dtypes = {t["name"]: t["dtype"] for t in spec["tensors"]}
        return [(name, loaded(file[name], dtypes[name])) for name in file.files]


def write_sparse(rng):
    from scipy import sparse
    name = pick(rng, ["float32", "float64", "bool"] + values.INTEGERS)
    rows, columns = int(rng.integers(1, 8)), int(rng.integers(1, 30))
    n = int(rng.integers(0, 40))
    data = values.data(rng, name, n)
    row, column = rng.integers(0, rows, n), rng.integers(0, columns, n)
    format = pick(rng, ["csr", "csc", "coo"])
    kind = pick(rng, [sparse.coo_matrix, sparse.coo_array])
    if chance(rng, .5):  # every place once
        places = rng.permutation(rows * columns)[:n]
        row, column = places // columns, places % columns
        data = data[:len(places)]
    matrix = kind((data, (row, column)), shape=(rows, columns), dtype=name).asformat(format)
    if format == "csr" and chance(rng, .3):
        matrix.data = matrix.data[:]  # as it came: neither sorted nor summed
    dense = matrix.toarray()
    out = io.BytesIO()
    sparse.save_npz(out, matrix, compressed=chance(rng, .5))
    note = f"{kind.__name__} {format} of {n} {name}"
    if chance(rng, .1):
        return Case(out.getvalue(), [("data", dense)], note=note)
    if chance(rng, .2) and (other := values.convert(rng, dense)) is not None:
        dense, note = other, note + f", to {values.type_name(other)}"
    return Case(out.getvalue(), [("x", dense)], [wanted(rng, "x", dense)], note=note)


def write_raw(rng):
    name = pick(rng, values.NUMPY + list(values.SMALL))
    dims = values.shape(rng)
    array = values.tensor(rng, name, tuple(max(d, 1) for d in dims))
    want = entry("x", array)
    if array.ndim and chance(rng, .8):
        want["shape"][int(rng.integers(array.ndim))] = -1
    return Case(array.tobytes(), [("x", array)], [want])


def read_raw(spec, body):
    t = spec["tensors"][0]
    return [(t["name"], np.frombuffer(body, dtype=values.numpy_type(t["dtype"])).reshape(t["shape"]))]


WRITE = {"npy": write_npy, "npz": write_npz, "npz/sparse": write_sparse, "octet-stream": write_raw}
READ = {"npy": read_npy, "npz": read_npz, "octet-stream": read_raw}
