"""SageMaker's RecordIO-protobuf, libsvm's text and plain text."""
import io
import struct

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import values
from case import Case, wanted
from values import chance, pick

MAGIC = 0xCED7230A


def messages(packed):
    """The messages of aialgs.data (proto2); packed says how repeated numbers are written."""
    file = descriptor_pb2.FileDescriptorProto(name=f"record_{packed}.proto", package=f"aialgs.data{packed}", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto

    def message(parent, name, *fields):
        m = parent.add(name=name)
        for number, label, type, field_name in fields:
            f = m.field.add(name=field_name, number=number, label=label)
            if isinstance(type, str):
                f.type, f.type_name = field.TYPE_MESSAGE, f".{file.package}.{type}"
            else:
                f.type = type
                f.options.packed = packed and label == field.LABEL_REPEATED and type not in (field.TYPE_BYTES, field.TYPE_STRING)
        return m

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    for name, type in [("Float32Tensor", field.TYPE_FLOAT), ("Float64Tensor", field.TYPE_DOUBLE), ("Int32Tensor", field.TYPE_INT32)]:
        message(file.message_type, name, (1, many, type, "values"), (2, many, field.TYPE_UINT64, "keys"), (3, many, field.TYPE_UINT64, "shape"))
    message(file.message_type, "Bytes", (1, many, field.TYPE_BYTES, "value"), (2, one, field.TYPE_STRING, "content_type"))
    value = message(file.message_type, "Value", (2, one, "Float32Tensor", "float32_tensor"), (3, one, "Float64Tensor", "float64_tensor"),
                    (7, one, "Int32Tensor", "int32_tensor"), (9, one, "Bytes", "bytes"))
    value.oneof_decl.add(name="value")
    for f in value.field:
        f.oneof_index = 0
    record = message(file.message_type, "Record", (1, many, "Record.FeaturesEntry", "features"), (2, many, "Record.LabelEntry", "label"),
                     (3, one, field.TYPE_STRING, "uid"), (4, one, field.TYPE_STRING, "metadata"), (5, one, field.TYPE_STRING, "configuration"))
    for name in ["FeaturesEntry", "LabelEntry"]:
        entry = message(record.nested_type, name, (1, one, field.TYPE_STRING, "key"), (2, one, "Value", "value"))
        entry.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(file.package + ".Record"))


RECORD, UNPACKED = messages(True), messages(False)
TENSORS = {"float32": "float32_tensor", "float64": "float64_tensor", "int32": "int32_tensor", "string": "bytes"}


def framed(messages):
    return b"".join(struct.pack("<II", MAGIC, len(m)) + m + b"\0" * (-len(m) % 4) for m in messages)


def fill(rng, value, row, keyed):
    """Writes a row, sparse where keyed says so: its zeros left out."""
    tensor = getattr(value, TENSORS[values.type_name(row)])
    if row.dtype == object:
        tensor.value.extend(s.encode() for s in row.ravel())
        tensor.content_type = "text/plain"
        return
    flat = row.ravel()
    if keyed:
        keys = rng.permutation(np.flatnonzero((flat != 0) | np.signbit(flat) | (rng.random(flat.size) < .1)))
        tensor.keys.extend(keys.tolist())
        flat = flat[keys]
    tensor.values.extend(flat.tolist())
    if keyed or row.ndim > 1 or not row.size or chance(rng, .2):
        tensor.shape.extend(row.shape)
    if not flat.size:
        tensor.SetInParent()


def write_recordio(rng):
    rows = max(values.rows(rng), 1)
    names = values.names(rng, int(rng.choice([1, 2, 4], p=[.7, .2, .1])), unusual=True)
    record = pick(rng, [RECORD, RECORD, UNPACKED])
    messages, tensors = [record() for _ in range(rows)], []
    for name in names:
        rank = int(rng.choice([1, 2, 3], p=[.15, .65, .2]))
        type = pick(rng, list(TENSORS))
        array = values.tensor(rng, type, values.shape(rng, rank, rows))
        keyed = type != "string" and chance(rng, .3)
        if keyed:
            array[rng.random(array.shape) < .7] = 0
        key = "values" if len(names) == 1 and chance(rng, .5) else name
        for m, row in zip(messages, array[:, np.newaxis] if rank == 1 else array):
            fill(rng, m.features[key], row, keyed and row.ndim == 1)
        tensors.append((name, array))
    for m in messages:
        if chance(rng, .3):
            m.label["values"].float32_tensor.values.append(1)
            m.uid, m.metadata = values.text(rng), "{}"
    body = [m.SerializeToString() for m in messages]
    body = body[0] if rows == 1 and chance(rng, .3) else framed(body)
    want = []
    for i, (name, array) in enumerate(tensors):
        w = wanted(rng, name, array)
        if array.ndim > 2 or not array.size:
            w["shape"][1:] = array.shape[1:]
        if chance(rng, .2) and (other := values.convert(rng, array)) is not None:
            w["dtype"], tensors[i] = values.type_name(other), (name, other)
        want.append(w)
    return Case(body, tensors, want)


def records(body):
    out = []
    while body:
        magic, n = struct.unpack_from("<II", body)
        assert magic == MAGIC and len(body) >= 8 + n
        message, body = body[8:8 + n], body[8 + n:]
        assert body[:-n % 4] == b"\0" * (-n % 4)
        body = body[-n % 4:]
        record = RECORD()
        record.ParseFromString(message)
        assert record.SerializeToString(deterministic=True) and len(record.SerializeToString()) == n, "protobuf writes it otherwise"
        out.append(record)
    return out


def read_recordio(spec, body):
    tensors, rows = spec["tensors"], records(body)
    assert len(rows) == tensors[0]["shape"][0], "another number of records"
    features = spec.get("params", {}).get("as") == "features"
    classifier = len(tensors) == 2 and "labels" in tensors[1] and len(tensors[0]["shape"]) == 1
    out = []
    for i, t in enumerate(tensors):
        key = t["name"]
        if features and len(tensors) == 1:
            key = "values"
        elif classifier and not features:
            key = ["predicted_label", "score"][i]
        dtype, found = values.numpy_type(t["dtype"]), []
        for row in rows:
            part, other = (row.features, row.label) if features else (row.label, row.features)
            assert len(part) == len(tensors) and not other
            value = part[key]
            tensor = getattr(value, value.WhichOneof("value"))
            if t["dtype"] == "string":
                found += [s.decode() for s in tensor.value]
            else:
                assert not tensor.keys and list(tensor.shape) in ([], t["shape"][1:])
                found += tensor.values
        array = np.array(found).astype(dtype) if t["dtype"] != "string" else np.array(found, dtype=object)
        out.append((key if key == t["name"] else t["name"], array.reshape(t["shape"])))
    return out


def write_libsvm(rng):
    from scipy import sparse
    from sklearn.datasets import dump_svmlight_file, load_svmlight_file
    rows, columns = max(values.rows(rng), 1), int(rng.integers(1, 30))
    array = values.tensor(rng, pick(rng, ["float64", "float32"]), (rows, columns), finite=True)
    array[rng.random(array.shape) < pick(rng, [.2, .8])] = 0
    array[(abs(array) > 2**53) & (abs(array) < 1e17)] = 1  # sklearn writes an integer, which a float cannot be trusted with
    array[rng.integers(rows), columns - 1] = 1.5  # so that the last column shows
    zero = chance(rng, .4)
    if chance(rng, .5):
        out = io.BytesIO()
        dump_svmlight_file(sparse.csr_matrix(array), rng.integers(0, 3, rows), out, zero_based=zero,
                           comment="made\nby chance: 1" if chance(rng, .3) else None, query_id=rng.integers(0, 3, rows) if chance(rng, .2) else None)
        body = text = out.getvalue()
        note = "sklearn"
    else:
        lines, ordered = [], []
        for row in array:
            keys = np.flatnonzero((row != 0) | (rng.random(columns) < .1))
            label, end = pick(rng, ["0", "1", "-1.5", "+1"]), pick(rng, ["", " ", " # 1:2"])
            pairs = [f"{k + (not zero)}:{float(row[k])!r}" for k in keys]
            ordered.append(" ".join([label] + pairs))
            lines.append(" ".join([label] + list(rng.permutation(pairs))) + end)
        body, text, note = pick(rng, ["\n", "\r\n"]).join(lines).encode(), "\n".join(ordered).encode(), "by hand"
    read, _ = load_svmlight_file(io.BytesIO(text), zero_based=zero, n_features=columns)  # which wants the indices in order
    if not np.isfinite(read.data.astype(array.dtype)).all():
        return write_libsvm(rng)  # sklearn has rounded the largest up
    found = read.tocoo()
    array = np.zeros((rows, columns), array.dtype)
    array[found.row, found.col] = found.data
    return Case(body, [("x", array)], [wanted(rng, "x", array)], {"index_base": "0"} if zero else {}, note=note)


def write_text(rng):
    text = values.text(rng) or "x"
    array = np.array([text], dtype=object)
    want = wanted(rng, "x", array)
    mark = "\ufeff" if text.startswith("\ufeff") or chance(rng, .2) else ""
    return Case((mark + text).encode(), [("x", array)], [want])


def read_text(spec, body):
    t = next(t for t in spec["tensors"])
    text = body.decode()
    rows = int(np.prod(t["shape"]))
    if rows and spec["options"]["trailing"]:
        assert text.endswith("\n")
        text = text[:-1]
    lines = [] if not rows else [text] if rows == 1 else text.split("\n")
    if t["dtype"] == "bool":
        lines = [{"true": True, "false": False}[s] for s in lines]
    elif t["dtype"] != "string":
        lines = [float(s) if values.is_float(t["dtype"]) else int(s) for s in lines]
    out = [(t["name"], np.array(lines, dtype=values.numpy_type(t["dtype"])).reshape(t["shape"]))]
    return out


WRITE = {"recordio": write_recordio, "libsvm": write_libsvm, "text": write_text}
READ = {"recordio": read_recordio, "text": read_text}
