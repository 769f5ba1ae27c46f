"""Writes cases.jsonl: RecordIO bodies by the protobuf library, with the tensors that they hold.

pip install protobuf numpy, then: python generate.py

Each line is a case: "body" is what is sent or, where "outputs" is there, what must be written. "want" are a
model's inputs (absent: none is known), "tensors" what is read, elements in base64 or, of strings, as they are.
"""

import base64, json, struct
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto


def aialgs():
    """Builds package aialgs.data, the messages of SageMaker's built-in algorithms (proto2)."""
    file = descriptor_pb2.FileDescriptorProto(name="aialgs.proto", package="aialgs.data", syntax="proto2")

    def field(message, name, number, type, label=F.LABEL_OPTIONAL, of=None, packed=False, oneof=False):
        f = message.field.add(name=name, number=number, type=type, label=label)
        if of:
            f.type_name = ".aialgs.data." + of
        if packed:
            f.options.packed = True
        if oneof:
            f.oneof_index = 0

    for packed in (True, False):
        for name, type in (("Float32Tensor", F.TYPE_FLOAT), ("Float64Tensor", F.TYPE_DOUBLE), ("Int32Tensor", F.TYPE_INT32)):
            m = file.message_type.add(name=name + ("" if packed else "Unpacked"))
            field(m, "values", 1, type, F.LABEL_REPEATED, packed=packed)
            field(m, "keys", 2, F.TYPE_UINT64, F.LABEL_REPEATED, packed=packed)
            field(m, "shape", 3, F.TYPE_UINT64, F.LABEL_REPEATED, packed=packed)
            field(m, "later", 99, F.TYPE_STRING)  # a field that readers do not know
    m = file.message_type.add(name="Bytes")
    field(m, "value", 1, F.TYPE_BYTES, F.LABEL_REPEATED)
    field(m, "content_type", 2, F.TYPE_STRING)
    for suffix in ("", "Unpacked"):
        m = file.message_type.add(name="Value" + suffix)
        m.oneof_decl.add(name="value")
        field(m, "float32_tensor", 2, F.TYPE_MESSAGE, of="Float32Tensor" + suffix, oneof=True)
        field(m, "float64_tensor", 3, F.TYPE_MESSAGE, of="Float64Tensor" + suffix, oneof=True)
        field(m, "int32_tensor", 7, F.TYPE_MESSAGE, of="Int32Tensor" + suffix, oneof=True)
        field(m, "bytes", 9, F.TYPE_MESSAGE, of="Bytes", oneof=True)
        m = file.message_type.add(name="Record" + suffix)
        for number, name in ((1, "features"), (2, "label")):
            entry = m.nested_type.add(name=name.capitalize() + "Entry")
            entry.options.map_entry = True
            field(entry, "key", 1, F.TYPE_STRING)
            field(entry, "value", 2, F.TYPE_MESSAGE, of="Value" + suffix)
            field(m, name, number, F.TYPE_MESSAGE, F.LABEL_REPEATED, of="Record%s.%sEntry" % (suffix, name.capitalize()))
        field(m, "uid", 3, F.TYPE_STRING)
        field(m, "metadata", 4, F.TYPE_STRING)
        field(m, "configuration", 5, F.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data." + n)) for n in ("Record", "RecordUnpacked")}


MESSAGES = aialgs()
KINDS = {"float32": "float32_tensor", "float64": "float64_tensor", "int32": "int32_tensor"}


def put(value, array, keys=None, shape=None):
    """Sets a Value to an array: dense, or sparse with keys."""
    if array.dtype.kind in "OU":
        value.bytes.value.extend(s.encode() for s in array)
        return
    tensor = getattr(value, KINDS[str(array.dtype)])
    tensor.values.extend(array.ravel().tolist())
    tensor.keys.extend(keys or [])
    tensor.shape.extend(shape or [])
    tensor.SetInParent()


def record(features, labels=None, packed=True, **fields):
    r = MESSAGES["Record" if packed else "RecordUnpacked"](**fields)
    for part, values in ((r.features, features), (r.label, labels or {})):
        for name, v in values.items():
            put(part[name], *(v if isinstance(v, tuple) else (v,)))
    return r


def wire(message):
    return message.SerializeToString(deterministic=True)


def frames(messages):
    out = b""
    for m in messages:
        m = wire(m)
        out += struct.pack("<II", 0xCED7230A, len(m)) + m + b"\0" * (-len(m) % 4)
    return out


def tensor(name, array):
    if array.dtype.kind in "OU":
        return {"name": name, "dtype": "string", "shape": list(array.shape), "strings": array.ravel().tolist()}
    return {"name": name, "dtype": str(array.dtype), "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


cases = []


def reads(name, body, want, *tensors):
    """want: (name, dtype, shape) of each input, None where no model is known."""
    c = {"name": name, "body": base64.b64encode(body).decode(), "tensors": [tensor(*t) for t in tensors]}
    if want is not None:
        c["want"] = [dict(zip(("name", "dtype", "shape"), w)) for w in want]
    cases.append(c)


def writes(name, outputs, messages, labels=None, features=False):
    cases.append({"name": name, "outputs": [tensor(*o) for o in outputs], "labels": labels, "as": "features" if features else "", "body": base64.b64encode(frames(messages)).decode()})


def main():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    model = [("x", "float32", [-1, 4])]
    for packed in (True, False):
        how = "packed" if packed else "unpacked"
        for dtype in ("float32", "float64", "int32"):
            a = (x * 1000).astype(dtype)
            rows = [record({"values": r}, packed=packed) for r in a]
            reads("dense %s %s" % (dtype, how), frames(rows), [("x", dtype, [-1, 4])], ("x", a))
            reads("dense %s %s without a model" % (dtype, how), frames(rows), None, ("values", a))
            s = np.where(rng.random((5, 7)) < 0.4, rng.integers(-9, 9, (5, 7)), 0).astype(dtype)
            rows = [record({"values": (r[np.nonzero(r)], np.nonzero(r)[0].tolist(), [7])}, packed=packed) for r in s]
            reads("sparse %s %s" % (dtype, how), frames(rows), [("x", dtype, [-1, 7])], ("x", s))
            reads("sparse %s %s, the model open" % (dtype, how), frames(rows), [("x", dtype, [-1, -1])], ("x", s))
    rows = [record({"values": r}) for r in x]
    reads("one bare message", wire(rows[0]), model, ("x", x[:1]))
    reads("one message in a frame", frames(rows[:1]), model, ("x", x[:1]))
    reads("the last padding missing", frames([record({"values": x[0]}, uid="a")]).rstrip(b"\0"), model, ("x", x[:1]))
    reads("by the input's name", frames([record({"x": r}) for r in x]), model, ("x", x))
    reads("labels and the rest are passed over", frames([record({"values": r}, {"values": np.float32([1])}, uid="u%d" % i, metadata="{}", configuration="c") for i, r in enumerate(x)]), model, ("x", x))
    reads("float64 to float32", frames([record({"values": r.astype("float64")}) for r in x]), model, ("x", x))
    reads("int32 to int64", frames([record({"values": np.int32(r)}) for r in ([1, -2], [2**31 - 1, -2**31])]), [("ids", "int64", [-1, 2])], ("ids", np.int64([[1, -2], [2**31 - 1, -2**31]])))
    reads("whole float32 to int32", frames([record({"values": np.float32([1, -2])})]), [("x", "int32", [-1, 2])], ("x", np.int32([[1, -2]])))
    special = np.float32([np.nan, np.inf, -np.inf, -0.0])
    reads("NaN and the infinities", frames([record({"values": special})]), model, ("x", special[None]))
    reads("types that differ from record to record", frames([record({"values": a}) for a in (np.float32([0.5, 1]), np.int32([-3, 4]), np.float64([1e-300, 2]))]), [("x", "float64", [-1, 2])], ("x", np.float64([[0.5, 1], [-3, 4], [1e-300, 2]])))
    reads("dense after sparse, keys in any order", frames([record({"values": (np.float32([1, 2, 3]), [3, 0, 2])}), record({"values": x[0]})]), model, ("x", np.float32([[2, 0, 3, 1], x[0]])))
    reads("sparse, as wide as the greatest key", frames([record({"values": (np.float32([1]), [k])}) for k in (2, 5, 0)]), [("x", "float32", [-1, -1])], ("x", np.float32([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]])))
    reads("sparse, as wide as a later record's shape", frames([record({"values": (np.float32([1]), [1])}), record({"values": (np.float32([1]), [0], [3])})]), None, ("values", np.float32([[0, 1, 0], [1, 0, 0]])))
    reads("a sparse row of zeros", frames([record({"values": (np.float32([]), [], [4])}), record({"values": x[0]})]), model, ("x", np.float32([[0] * 4, x[0]])))
    image = rng.integers(0, 255, (2, 3, 2, 2)).astype(np.int32)
    reads("rows of several dimensions", frames([record({"values": (r, None, [3, 2, 2])}) for r in image]), [("image", "float32", [-1, 3, 2, 2])], ("image", image.astype(np.float32)))
    reads("rows of several dimensions as vectors", frames([record({"values": r}) for r in image]), [("image", "uint8", [-1, 3, 2, 2])], ("image", image.astype(np.uint8)))
    reads("sparse rows of several dimensions", frames([record({"values": (np.float32([5]), [3], [2, 2])})]), None, ("values", np.float32([[[0, 0], [0, 5]]])))
    names = np.array(["clerk", "", "Bäcker"], dtype=object)
    several = [("job", "string", [-1, 1]), ("age", "float32", [-1, 1]), ("one", "int64", [-1])]
    rows = [record({"age": np.float32([30 + i]), "one": np.int32([i]), "job": names[i:i + 1]}) for i in range(3)]
    reads("several inputs, strings among them", frames(rows), several, ("job", names[:, None]), ("age", np.float32([[30], [31], [32]])), ("one", np.int64([0, 1, 2])))
    body = b"".join(wire(record({k: v})) for k, v in (("values", np.float32([9, 9, 9, 9])), ("values", x[0])))
    reads("of two features of a name the last", body, model, ("x", x[:1]))
    unknown = record({"values": x[0]}, packed=True)
    unknown.features["values"].float32_tensor.later = "?"
    reads("fields of a later version", wire(unknown) + b"\xfa\x01\x02hi\x80\x02\x07", model, ("x", x[:1]))
    # A message in pieces: an entry whose value comes twice is merged, its values joined.
    half = [b"\x12" + bytes([len(v)]) + v for v in (b"\x12\x0a\x0a\x08" + x[0][:2].tobytes(), b"\x12\x0a\x0a\x08" + x[0][2:].tobytes())]
    entry = b"\x0a\x06values" + b"".join(half)
    body = b"\x0a" + bytes([len(entry)]) + entry
    assert list(MESSAGES["Record"].FromString(body).features["values"].float32_tensor.values) == x[0].tolist()
    reads("a value in two pieces", body, model, ("x", x[:1]))

    labels, scores = np.int64([2, 0]), np.float32([[0.1, 0.2, 0.7], [0.9, 0.1, 0]])
    writes("a classifier", [("label", labels), ("probabilities", scores)], [record({}, {"predicted_label": np.float32([l]), "score": s}) for l, s in zip(labels, scores)], ["0", "1", "2"])
    labels = np.array(["setosa", "virginica"], dtype=object)
    writes("a classifier of strings", [("label", labels), ("probabilities", scores)], [record({}, {"predicted_label": labels[i:i + 1], "score": scores[i]}) for i in range(2)], ["a", "b", "c"])
    writes("one output", [("y", x)], [record({}, {"y": r}) for r in x])
    writes("one output as features", [("y", x)], [record({"values": r}) for r in x], features=True)
    writes("one value a row", [("y", np.float64([1.5, -0.0]))], [record({}, {"y": np.float64([v])}) for v in (1.5, -0.0)])
    writes("several outputs", [("a", np.int32([[1, -1]])), ("b", np.float32([[2]]))], [record({}, {"a": np.int32([1, -1]), "b": np.float32([2])})])
    writes("several outputs as features", [("a", np.int32([[1, -1]])), ("b", np.float32([[2]]))], [record({"a": np.int32([1, -1]), "b": np.float32([2])})], features=True)
    for dtype, own in (("int8", "int32"), ("int16", "int32"), ("uint8", "int32"), ("uint16", "int32"), ("bool", "int32"), ("uint32", "float64"), ("int64", "float64"), ("uint64", "float64"), ("float16", "float32")):
        a = np.array([[0, 1, 100]]).astype(dtype)
        writes(dtype, [("y", a)], [record({}, {"y": a[0].astype(own)})])
    image = rng.standard_normal((2, 2, 3)).astype(np.float32)
    writes("rows of several dimensions, written", [("y", image)], [record({}, {"y": (r, None, [2, 3])}) for r in image])
    writes("no rows", [("y", x[:0])], [])

    with open("cases.jsonl", "w") as f:
        for c in cases:
            f.write(json.dumps(c, ensure_ascii=False) + "\n")
    print(len(cases), "cases")


main()
