"""Parquet and Arrow streams, by pyarrow and pandas."""
import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import values
from case import Case, wanted_columns
from csvforms import column_names, in_columns
from values import chance, pick

TYPES = values.NUMPY + ["string"]
TEXTS = [pa.string(), pa.large_string(), pa.binary()]


def leaf(rng, array, views=False):
    """A column of array's elements, in one of the types that hold them."""
    if array.dtype == object:
        return pa.array(array.tolist(), pick(rng, TEXTS + ([pa.string_view(), pa.binary_view()] if views else [])))
    return pa.array(array)


def with_nulls(rng, array):
    """array with NaN, and where it is to be null."""
    null = rng.random(len(array)) < pick(rng, [.1, .9])
    array[null] = math.nan
    return array, pa.array(array, mask=null)


def columns_of(rng, name, array, arrow):
    """The columns of one input and the input as they hold it: a column, a column of lists, or a column a value."""
    rows = array.shape[0]
    flat = array.reshape(rows, math.prod(array.shape[1:]))
    width = flat.shape[1]
    if width == 1:
        column = leaf(rng, flat[:, 0], arrow)
        if values.type_name(array) in values.FLOATS and chance(rng, .3):
            flat = flat.copy()
            flat[:, 0], column = with_nulls(rng, flat[:, 0])
        elif chance(rng, .2) and array.dtype != np.float16 and array.dtype != bool:
            column = column.dictionary_encode() if not pa.types.is_string_view(column.type) and not pa.types.is_binary_view(column.type) else column
        return [(name, column)], flat.reshape(array.shape)
    if chance(rng, .5):
        values_ = leaf(rng, flat.ravel())
        if chance(rng, .5):
            return [(name, pa.FixedSizeListArray.from_arrays(values_, width))], array
        kind, offset = pick(rng, [(pa.ListArray, np.int32), (pa.LargeListArray, np.int64)])
        return [(name, kind.from_arrays(pa.array(np.arange(rows + 1, dtype=offset) * width), values_))], array
    return [(f"{name}_{i}", leaf(rng, np.ascontiguousarray(flat[:, i]), arrow)) for i in range(width)], array


def random_table(rng, arrow):
    """A table, the tensors in it, and the model's inputs."""
    rows = int(rng.choice([0, 1, 2, 7, 40, 300, 3000], p=[.04, .2, .2, .3, .2, .05, .01]))
    names = values.names(rng, int(rng.choice([1, 2, 4], p=[.5, .3, .2])))
    columns, tensors = [], []
    for name in names:
        dims = [rows] + [int(d) for d in rng.integers(1, 5, int(rng.choice([0, 1, 2], p=[.4, .5, .1])))]
        array = values.tensor(rng, pick(rng, TYPES), tuple(dims))
        added, array = columns_of(rng, name, array, arrow)
        columns += added
        tensors.append((name, array))
    want = wanted_columns(rng, tensors)
    for w, (_, array) in zip(want, tensors):
        if array.ndim > 2:  # a list's length does not say how it divides
            w["shape"][1:] = array.shape[1:]
    if [c[0] for c in columns] == names:  # by name, in any order
        columns = [columns[i] for i in rng.permutation(len(columns))]
    for i, (name, array) in enumerate(tensors):
        if chance(rng, .15) and (other := values.convert(rng, array)) is not None:
            want[i]["dtype"], tensors[i] = values.type_name(other), (name, other)
    return pa.Table.from_arrays([c[1] for c in columns], names=[c[0] for c in columns]), tensors, want


ENCODINGS = {"i": ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "PLAIN"], "f": ["BYTE_STREAM_SPLIT", "PLAIN"], "b": ["RLE", "PLAIN"],
             "s": ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN"]}


def encoding(rng, type):
    if pa.types.is_integer(type):
        return pick(rng, ENCODINGS["i"])
    if pa.types.is_floating(type):
        return pick(rng, ENCODINGS["f"])
    if pa.types.is_boolean(type):
        return pick(rng, ENCODINGS["b"])
    return pick(rng, ENCODINGS["s"]) if not pa.types.is_nested(type) and not pa.types.is_dictionary(type) else None


def write_parquet(rng):
    table, tensors, want = random_table(rng, arrow=False)
    out = io.BytesIO()
    if chance(rng, .15):
        import pandas as pd
        frame = pd.DataFrame({f.name: table.column(f.name).to_pandas() for f in table.schema if pa.types.is_floating(f.type) and f.type != pa.float16() or pa.types.is_signed_integer(f.type)})
        if list(frame.columns) == table.column_names and not any(c.null_count for c in table.columns):
            frame.index = pick(rng, [frame.index, pd.Index([f"row {i}" for i in range(len(frame))])])
            frame.to_parquet(out, compression=pick(rng, ["snappy", None]))
            return Case(out.getvalue(), tensors, want, note="pandas")
    options = {"compression": pick(rng, ["none", "snappy", "gzip", "zstd", "lz4"]), "data_page_version": pick(rng, ["1.0", "2.0"]),
               "use_dictionary": chance(rng, .5), "store_schema": chance(rng, .5), "write_statistics": chance(rng, .5),
               "version": pick(rng, ["1.0", "2.4", "2.6"])}
    if chance(rng, .4):
        options |= {"data_page_size": int(rng.integers(1, 200)), "write_batch_size": int(rng.integers(1, 20)), "dictionary_pagesize_limit": int(rng.integers(1, 300))}
    if chance(rng, .3):
        options["row_group_size"] = int(rng.integers(1, 50))
    if not options["use_dictionary"] and chance(rng, .6):
        options["column_encoding"] = {f.name: e for f in table.schema if "." not in f.name and (e := encoding(rng, f.type))} or None
    if options["version"] != "2.6" and any(pa.types.is_uint32(f.type) for f in table.schema):
        options["version"] = "2.6"  # 1.0 makes int64 of them
    pq.write_table(table, out, **options)
    return Case(out.getvalue(), tensors, want, note=f"{options}, {table.schema}".replace("\n", ", "))


def write_arrow(rng):
    table, tensors, want = random_table(rng, arrow=True)
    if chance(rng, .3):  # a part of larger arrays
        before, after = table.slice(0, min(3, len(table))), table.slice(0, min(2, len(table)))
        table = pa.concat_tables([before, table, after]).combine_chunks().slice(len(before), len(table))
    options = {"compression": pick(rng, [None, None, "lz4", "zstd"]), "use_legacy_format": chance(rng, .1)}
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=int(rng.integers(1, 50)) if chance(rng, .4) else None)
    return Case(out.getvalue(), tensors, want, note=f"{options}, {table.schema}".replace("\n", ", "))


def read_parquet(spec, body):
    tensors = in_columns(spec["tensors"])
    table = pq.read_table(io.BytesIO(body))
    table.validate(full=True)
    assert table.column_names == column_names(tensors), table.column_names
    assert len(table) == (tensors[0]["shape"] or [1])[0], "another number of rows"
    out, at = {}, 0
    for t in tensors:
        width, dtype = math.prod(t["shape"][1:]), values.numpy_type(t["dtype"])
        stored = "float32" if t["dtype"] in values.SMALL else t["dtype"]
        stack = []
        for column in table.columns[at:at + width]:
            assert column.type == (pa.string() if stored == "string" else pa.from_numpy_dtype(values.numpy_type(stored))), column.type
            assert not column.null_count
            cells = np.empty(len(column), dtype=object) if stored == "string" else column.to_numpy().astype(dtype)
            if stored == "string":
                cells[:] = column.to_pylist()
            stack.append(cells)
        out[t["name"]] = np.stack(stack, axis=1).reshape(t["shape"])
        at += width
    assert at == table.num_columns
    return [(t["name"], out[t["name"]]) for t in spec["tensors"]]


WRITE = {"parquet": write_parquet, "arrow": write_arrow}
READ = {"parquet": read_parquet}
