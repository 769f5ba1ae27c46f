"""Models written node by node: what no training library exports."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from record import DTYPES
from tabular import save


def model(nodes, inputs, outputs, constants=(), opset=18):
    """A model of the given nodes; opset 18 and its IR version, so that older
    runtimes open it too."""
    initializers = [numpy_helper.from_array(v, name) for name, v in dict(constants).items()]
    graph = helper.make_graph(nodes, "main_graph", inputs, outputs, initializers)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, producer_name="clary", opset_imports=imports, ir_version=9)


def tensor(name, dtype, shape):
    return helper.make_tensor_value_info(name, DTYPES[dtype][1], shape)


def multi(folder):
    """Points and a radius for each: the distances to three fixed centres, the
    nearest one's index, and which lie within the radius."""
    nodes = [
        helper.make_node("Unsqueeze", ["point", "one"], ["points"]),
        helper.make_node("Sub", ["points", "centres"], ["offset"]),
        helper.make_node("ReduceL2", ["offset", "last"], ["distance"], keepdims=0),
        helper.make_node("ArgMin", ["distance"], ["nearest"], axis=1, keepdims=0),
        helper.make_node("LessOrEqual", ["distance", "radius"], ["within"]),
    ]
    inputs = [tensor("point", "float32", ["N", 2]), tensor("radius", "float32", ["N", 1])]
    outputs = [tensor("distance", "float32", ["N", 3]), tensor("nearest", "int64", ["N"]), tensor("within", "bool", ["N", 3])]
    constants = {
        "one": np.array([1], np.int64),
        "last": np.array([-1], np.int64),
        "centres": np.array([[[0, 0], [3, 4], [-6, 2.5]]], np.float32),
    }
    save(model(nodes, inputs, outputs, constants), folder)
    points = np.random.default_rng(1).normal(0, 4, (20, 2)).astype(np.float32)
    radii = np.linspace(0, 8, 20, dtype=np.float32).reshape(-1, 1)
    cases = [
        ("one row", {"point": np.array([[3, 0]], np.float32), "radius": np.array([[3.5]], np.float32)}),
        ("three rows", {"point": points[:3], "radius": radii[-3:]}),
        ("twenty rows", {"point": points, "radius": radii}),
    ]
    return cases, "", None


def sequence(folder):
    """Rows cut into pieces of two: a sequence of tensors, the last one shorter
    when the rows are odd; and their sums as an ordinary tensor."""
    nodes = [
        helper.make_node("SplitToSequence", ["x", "two"], ["pieces"], axis=0),
        helper.make_node("ReduceSum", ["x", "last"], ["sum"], keepdims=0),
    ]
    pieces = helper.make_value_info("pieces", helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [None, 3])))
    constants = {"two": np.array(2, np.int64), "last": np.array([-1], np.int64)}
    save(model(nodes, [tensor("x", "float32", ["N", 3])], [pieces, tensor("sum", "float32", ["N"])], constants), folder)
    x = np.arange(15, dtype=np.float32).reshape(5, 3) / 4
    cases = [
        ("one row", {"x": x[:1]}),
        ("four rows", {"x": x[:4]}),
        ("five rows", {"x": x}),
    ]
    return cases, "", None


def maps(folder):
    """Scores that the request gives, zipped with names and with numbers: two
    ZipMaps whose input no node of the graph computes."""
    nodes = [
        helper.make_node("ZipMap", ["scores"], ["by_name"], domain="ai.onnx.ml", classlabels_strings=["red", "green", "blue"]),
        helper.make_node("ZipMap", ["scores"], ["by_number"], domain="ai.onnx.ml", classlabels_int64s=[30, -10, 20]),
    ]

    def sequence_of_maps(name, key):
        of = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
        return helper.make_value_info(name, helper.make_sequence_type_proto(of))

    outputs = [sequence_of_maps("by_name", TensorProto.STRING), sequence_of_maps("by_number", TensorProto.INT64)]
    save(model(nodes, [tensor("scores", "float32", ["N", 3])], outputs), folder)
    x = np.array([[0.1, 0.7, 0.2], [1e-7, -2, 3e8]], np.float32)
    return [("one row", {"scores": x[:1]}), ("two rows", {"scores": x})], "", None
