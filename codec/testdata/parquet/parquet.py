"""Writes parquet.zip and arrow.zip: what pyarrow, pandas, polars and fastparquet write, for the tests of Parquet and Arrow.

A column's name says what is in it: TYPE, TYPE? with a null in every row r with r % 5 == 2, and TYPE[n] for lists of n.
Element i (row r has r*n to r*n + n - 1) is i / 4 for floats, i for integers (i % 100 for those of 8 bits), true where i is odd for bools, and "", "a",
"bé", "c漢d" and again for strings; of what a tensor cannot hold it is anything. Running this again with the same
libraries gives the same members.

    python parquet.py     # pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0, fastparquet 2026.9.0
"""

import datetime
import decimal
import io
import os
import tempfile
import zipfile

import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ["", "a", "bé", "c漢d"]
TYPES = {
    "bool": pa.bool_(), "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(),
    "uint8": pa.uint8(), "uint16": pa.uint16(), "uint32": pa.uint32(), "uint64": pa.uint64(),
    "float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64(), "string": pa.string(),
}
NUMBERS = [t for t in TYPES if t not in ("bool", "string")]
EPOCH = (1980, 1, 1, 0, 0, 0)


def element(kind, i):
    if kind.startswith("float"):
        return np.float16(i / 4) if kind == "float16" else i / 4
    if kind == "bool":
        return i % 2 == 1
    return WORDS[i % 4] if kind == "string" else i % 100 if kind.endswith("int8") else i


def column(name, rows, arrow=None):
    """The Arrow array of a column; arrow is another type for the same values."""
    base = name.rstrip("?")
    null = [name.endswith("?") and r % 5 == 2 for r in range(rows)]
    if "[" not in base:
        arrow = arrow or TYPES[base]
        return pa.array([None if null[r] else element(base, r) for r in range(rows)], arrow)
    kind, n = base[:-1].split("[")
    n = int(n)
    arrow = arrow or pa.list_(TYPES[kind], n)
    return pa.array([None if null[r] else [element(kind, r * n + j) for j in range(n)] for r in range(rows)], arrow)


def table(names, rows=20, **arrow):
    return pa.table({n: column(n, rows, arrow.get(n)) for n in names})


def table_of(x):
    return pa.table({"x": x})


def parquet(t, **options):
    f = io.BytesIO()
    options = {"compression": "none", "use_dictionary": False, "store_schema": False, "write_statistics": False} | options
    pq.write_table(t, f, **options)
    return f.getvalue()


def by_path(write):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "file")
        write(path)
        with open(path, "rb") as f:
            return f.read()


def refused():
    """Tables of one column that no tensor holds."""
    now = datetime.datetime(2026, 1, 2, 3, 4, 5)
    for name, array in {
        "timestamp": pa.array([now, now]), "date": pa.array([now.date()] * 2), "time": pa.array([now.time()] * 2),
        "decimal": pa.array([decimal.Decimal("1.5")] * 2), "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
        "struct": pa.array([{"a": 1}, {"a": 2}]), "map": pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
        "nested": pa.array([[[1]], [[2]]]), "structs": pa.array([[{"a": 1}]] * 2), "ragged": pa.array([[1.0], [1.0, 2.0]]),
        "nulllist": pa.array([[1.0], None]), "nullbool": pa.array([True, None]), "nullstring": pa.array(["a", None]),
        "latin": pa.array(["a".encode(), "é".encode("latin-1")]),
    }.items():
        yield "refused-" + name, pa.table({name: array})


def frame():
    f = pd.DataFrame({"float64": [element("float64", r) for r in range(20)], "int64": range(20),
                      "string": [element("string", r) for r in range(20)], "bool": [r % 2 == 1 for r in range(20)]})
    f.index = pd.date_range("2026-01-01", periods=20)
    return f


def indexes(n):
    """Arrays in every layout that is passed over."""
    words = [WORDS[r % 4] * 9 for r in range(n)]
    return [pa.array(words), pa.array(words, pa.large_string()), pa.array(words, pa.string_view()), pa.array(words).dictionary_encode(),
            pa.nulls(n), pa.array([True] * n), pa.array([datetime.datetime(2026, 1, 1)] * n), pa.array([decimal.Decimal("1.5")] * n)]


def plain():
    """Tables that both formats carry."""
    lists = ["float32[3]", "int64[2]", "string[2]", "float64[1]", "bool[9]"]
    yield "all", table(list(TYPES))
    yield "nulls", table([t + "?" for t in NUMBERS])
    yield "lists", table(lists)
    yield "mixed", table(["float32", "float64[3]", "int64"])
    yield "varlists", table(["float32[3]", "string[2]"], **{"float32[3]": pa.list_(pa.float32()), "string[2]": pa.large_list(pa.string())})
    yield "dictionary", table(["string", "int64", "float32?", "uint8"], 40, **{
        "string": pa.dictionary(pa.int8(), pa.large_string()), "int64": pa.dictionary(pa.uint16(), pa.int64()),
        "float32?": pa.dictionary(pa.int32(), pa.float32()), "uint8": pa.dictionary(pa.int64(), pa.uint8())})
    yield "strings", table(["string", "string[2]"], **{"string": pa.large_string(), "string[2]": pa.list_(pa.large_string(), 2)})
    yield "binary", table(["string"], **{"string": pa.binary()})
    yield "views", pa.table({"string": [WORDS[r % 4] for r in range(20)], "long": ["0123456789" * r for r in range(20)]},
                            pa.schema({"string": pa.string_view(), "long": pa.binary_view()}))
    yield "empty", table(["float32", "string", "float32[3]"], 0)
    yield "many", table(["float64", "int32?"], 3000)
    yield "allnull", pa.table({"x": pa.nulls(3)})
    yield from refused()


def parquets():
    for name, t in plain():
        if name != "views":
            yield name, parquet(t, **({"store_schema": True} if name == "lists" else {}))
    few = ["float32", "int64?", "string", "bool", "float64[3]"]
    for codec in ["snappy", "gzip", "zstd", "lz4"]:
        for version in ["1.0", "2.0"]:
            yield f"{codec}-{version}", parquet(table(few, 60), compression=codec, data_page_version=version)
    yield "brotli", parquet(table(["float32"]), compression="brotli")
    yield "pages", parquet(table(few, 200), use_dictionary=True, data_page_size=64, write_batch_size=16, row_group_size=90)
    yield "pages-2.0", parquet(table(few, 200), data_page_version="2.0", data_page_size=64, write_batch_size=16, row_group_size=90, compression="zstd")
    yield "encoded-dictionary", parquet(table(["bool", "int32", "float32?", "string", "float16", "float64[3]"], 300), use_dictionary=True)
    yield "delta", parquet(table(["int32", "int64", "uint32?", "uint64", "int8"], 300), column_encoding={
        n: "DELTA_BINARY_PACKED" for n in ["int32", "int64", "uint32?", "uint64", "int8"]})
    yield "delta-length", parquet(table(["string"], 300), column_encoding={"string": "DELTA_LENGTH_BYTE_ARRAY"})
    yield "delta-bytes", parquet(table(["string"], 300), column_encoding={"string": "DELTA_BYTE_ARRAY"})
    yield "split", parquet(table(["float32", "float64?", "int32", "int64", "float16"], 30), column_encoding={
        n: "BYTE_STREAM_SPLIT" for n in ["float32", "float64?", "int32", "int64", "float16"]})
    yield "rle", parquet(table(["bool"], 300), column_encoding={"bool": "RLE"})
    yield "int96", parquet(pa.table({"timestamp": pa.array([datetime.datetime(2026, 1, 2)])}), use_deprecated_int96_timestamps=True)
    yield "pandas", by_path(lambda p: frame().to_parquet(p))
    yield "bomb", parquet(table_of(np.zeros(20_000_000, np.int64)), use_dictionary=True, row_group_size=1 << 30)
    yield "bomb-zstd", parquet(table_of(np.zeros(20_000_000, np.int64)), compression="zstd", row_group_size=1 << 30, data_page_size=1 << 30)
    yield "bomb-lists", parquet(pa.table({"x": pa.array([np.zeros(10_000_000)], pa.list_(pa.float64()))}), use_dictionary=True)
    small = pl.DataFrame(table(["float32", "int64?", "string", "bool", "uint8"], 60).to_pydict(),
                         schema={"float32": pl.Float32, "int64?": pl.Int64, "string": pl.String, "bool": pl.Boolean, "uint8": pl.UInt8})
    yield "polars", by_path(small.write_parquet)
    simple = table(["float32", "string", "bool", "uint8"], 60).to_pandas()
    yield "fastparquet", by_path(lambda p: fastparquet.write(p, simple, compression="SNAPPY"))


def stream(t, batch=None, **options):
    f = io.BytesIO()
    with pa.ipc.new_stream(f, t.schema, options=pa.ipc.IpcWriteOptions(**options)) as w:
        w.write_table(t, max_chunksize=batch)
    return f.getvalue()


def arrows():
    for name, t in plain():
        yield name, stream(t)
    few = table(["float32", "int64?", "string", "bool", "float64[3]"], 60)
    for codec in ["lz4", "zstd"]:
        yield codec, stream(few, compression=codec)
    yield "lz4-blocks", stream(table(["float64"], 9000), compression="lz4")
    yield "batches", stream(few, batch=7)
    yield "legacy", stream(few, use_legacy_format=True)
    yield "slice", stream(table(["bool", "string", "float32?", "int16", "int64[2]", "bool[9]", "string[2]"], 60).slice(0, 31), batch=13)
    words = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["", "a"]),
                              pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["bé", "c漢d"])])
    yield "dictionary-replaced", stream(pa.table({"string": words}))
    grown = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["", "a"]),
                              pa.DictionaryArray.from_arrays(pa.array([2, 3], pa.int8()), ["", "a", "bé", "c漢d"])])
    yield "dictionary-delta", stream(pa.table({"string": grown}), emit_dictionary_deltas=True)
    yield "bomb", stream(pa.table({"x": pa.nulls(10**9)}))
    yield "bomb-zstd", stream(table_of(np.zeros(20_000_000, np.int64)), compression="zstd")
    yield "bomb-lists", stream(pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.nulls(10**9), 10**9)}))
    entries = pa.array([None] + [r / 4 for r in range(20)], pa.float32())  # null as an index and as what it leads to
    indices = pa.array([None if r % 10 == 2 else 0 if r % 10 == 7 else r + 1 for r in range(20)], pa.int16())
    halves = pa.DictionaryArray.from_arrays(pa.array(range(20), pa.uint64()), pa.array(np.arange(20, dtype=np.float16) / 4))
    yield "dictionary-null", stream(pa.table({"float32?": pa.DictionaryArray.from_arrays(indices, entries), "float16": halves}), batch=7)
    yield "index", stream(pa.table([column("float32", 20), *indexes(20)], ["float32"] + [f"__index_level_{i}__" for i in range(8)]), batch=9)
    yield "nested-index", stream(pa.table({"float32": column("float32", 20), "__index_level_0__": column("float32[3]", 20)}))
    yield "pandas", stream(pa.Table.from_pandas(frame()))
    yield "polars", by_path(pl.DataFrame({"float32": [r / 4 for r in range(60)], "string": [WORDS[r % 4] for r in range(60)]},
                                         schema={"float32": pl.Float32, "string": pl.String}).write_ipc_stream)
    f = io.BytesIO()
    with pa.ipc.new_file(f, few.schema) as w:
        w.write_table(few)
    yield "file", f.getvalue()


def archive(path, members):
    with zipfile.ZipFile(path, "w") as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data, compresslevel=9)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    archive("parquet.zip", parquets())
    archive("arrow.zip", arrows())
