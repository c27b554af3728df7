"""Writes the TFLite models beside this script, and expected_tflite.json with what is in them.

Needs ai-edge-litert 2.3 and flatbuffers 25.12; run it as `python3 make_tflite_fixtures.py`. The files are committed, so that
tests need neither.
"""

import json
import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

HERE = pathlib.Path(__file__).parent
TYPES = {np.dtype(np.float32): (schema.TensorType.FLOAT32, "F32"), np.dtype(np.float16): (schema.TensorType.FLOAT16, "F16"),
         np.dtype(np.float64): (schema.TensorType.FLOAT64, "F64"), np.dtype(np.int32): (schema.TensorType.INT32, "I32")}
OP, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
expected = {}


class Graph:
    """Builds a model of several subgraphs that share its buffers."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "fixture"
        self.model.operatorCodes, self.model.subgraphs = [], []
        self.model.buffers = [schema.BufferT()]
        self.constants = []
        self.names = set()

    def begin(self, name):
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = name, [], [], [], []
        self.model.subgraphs.append(graph)
        self.graph = graph

    def tensor(self, name, shape, type=schema.TensorType.FLOAT32, buffer=0):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), type, buffer
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name, value, kind=None, buffer=None):
        type, dtype = TYPES[value.dtype]
        if buffer is None:
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.frombuffer(value.tobytes(), np.uint8)
            buffer = len(self.model.buffers) - 1
        unique, n = name, 1
        while unique in self.names:
            n += 1
            unique = f"{name}#{n}"
        self.names.add(unique)
        self.constants.append({"name": unique, "dtype": dtype, "shape": list(value.shape), "packable": dtype[0] == "F",
                               "values": value.tobytes().hex(), "kind": kind})
        return self.tensor(name, value.shape, type, buffer)

    def operator(self, code, inputs, outputs, options=None, kind=0):
        codes = [c.builtinCode for c in self.model.operatorCodes]
        if code not in codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 3 if code == OP.DEQUANTIZE else 1
            self.model.operatorCodes.append(entry)
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = codes.index(code), inputs, outputs
        operator.builtinOptions, operator.builtinOptionsType = options, kind
        self.graph.operators.append(operator)

    def finished(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def convolution(depthwise=False):
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    if depthwise:
        options.depthMultiplier = 1
    return options


def build():
    random = np.random.default_rng(3)

    def weights(*shape, dtype=np.float32):
        return random.standard_normal(shape).astype(dtype)

    g = Graph()
    g.begin("main")
    x = g.tensor("input", [1, 4, 4, 2])
    half = g.constant("conv/half", weights(3, 3, 3, 2, dtype=np.float16), "conv")
    whole = g.tensor("conv/widened", [3, 3, 3, 2])
    g.operator(OP.DEQUANTIZE, [half], [whole])
    y = g.tensor("conv/out", [1, 4, 4, 3])
    g.operator(OP.CONV_2D, [x, whole, g.constant("conv/bias", weights(3))], [y], convolution(), OPTIONS.Conv2DOptions)
    z = g.tensor("depthwise/out", [1, 4, 4, 3])
    g.operator(OP.DEPTHWISE_CONV_2D, [y, g.constant("depthwise", weights(1, 2, 2, 3), "depthwise"), g.constant("zero", weights(3))], [z],
               convolution(True), OPTIONS.DepthwiseConv2DOptions)
    flat = g.tensor("flat", [1, 48])
    g.operator(OP.RESHAPE, [z, g.constant("shape", np.array([1, 48], np.int32))], [flat])
    full = g.constant("dense", weights(5, 48), "fc")
    out = g.tensor("dense/out", [1, 5])
    g.operator(OP.FULLY_CONNECTED, [flat, full, -1], [out], schema.FullyConnectedOptionsT(), OPTIONS.FullyConnectedOptions)
    product = g.tensor("product", [1, 2])
    g.operator(OP.BATCH_MATMUL, [out, g.constant("matrix", weights(5, 2), "fc")], [product], schema.BatchMatMulOptionsT(),
               OPTIONS.BatchMatMulOptions)
    # As pretrained: a table that rows are taken from.
    row = g.tensor("row", [1, 3])
    g.operator(OP.GATHER, [g.constant("table", weights(4, 3), "embedding"), g.constant("rows", np.array([2], np.int32))], [row],
               schema.GatherOptionsT(), OPTIONS.GatherOptions)
    g.constant("", weights(2, dtype=np.float64))
    g.constants[-1]["name"] = f"tensor.{len(g.graph.tensors) - 1}"
    g.graph.inputs, g.graph.outputs = [x], [product, row]

    g.begin("second")
    x = g.tensor("input", [1, 48])
    shared = next(t for t in g.model.subgraphs[0].tensors if t.name == "dense")
    value = np.frombuffer(bytes(g.model.buffers[shared.buffer].data), np.float32).reshape(5, 48)
    y = g.tensor("out", [1, 5])
    g.operator(OP.FULLY_CONNECTED, [x, g.constant("dense", value, "fc", shared.buffer), -1], [y], schema.FullyConnectedOptionsT(),
               OPTIONS.FullyConnectedOptions)
    g.graph.inputs, g.graph.outputs = [x], [y]
    return g


def pruned():
    """A network as MediaPipe has them: pruned weights, and one constant that operators read as a scalar and as a vector."""
    random = np.random.default_rng(4)
    g = Graph()
    g.begin("main")
    dense = g.constant("dense", random.standard_normal((40, 32)).astype(np.float32))
    axis = g.constant("axis", np.array(3, np.int32))
    g.constant("begin", np.array([3], np.int32), buffer=g.graph.tensors[axis].buffer)
    for index in range(3):
        g.model.buffers.append(schema.BufferT())
        g.model.buffers[-1].data = np.arange(24, dtype=np.uint8)
        place = g.tensor(f"pruned.{index}", [8, 8], buffer=len(g.model.buffers) - 1)
        sparsity = schema.SparsityParametersT()
        sparsity.traversalOrder = [0, 1]
        g.graph.tensors[place].sparsity = sparsity
    g.graph.inputs, g.graph.outputs = [], [dense]
    return g


def outputs(path):
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]
    interpreter.set_tensor(place["index"], np.linspace(-1, 1, 32, dtype=np.float32).reshape(place["shape"]))
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def main():
    graph = build()
    (HERE / "network.tflite").write_bytes(graph.finished())
    expected["network.tflite"] = graph.constants
    # As models above 2 GB have them: the buffers' bytes behind the FlatBuffer.
    graph = build()
    contents = [bytes(b.data) if b.data is not None else b"" for b in graph.model.buffers]
    places = [0] * len(contents)
    for _ in range(2):
        for buffer, content, place in zip(graph.model.buffers, contents, places):
            if content:
                buffer.data, buffer.offset, buffer.size = None, max(place, 2), len(content)
        data = graph.finished()
        for i, content in enumerate(contents):
            data += bytes(-len(data) % 16)
            places[i] = len(data)
            data += content
    (HERE / "outside.tflite").write_bytes(data)
    expected["outside.tflite"] = graph.constants
    for a, b in zip(outputs(HERE / "network.tflite"), outputs(HERE / "outside.tflite")):
        assert np.array_equal(a, b) and np.isfinite(a).all()
    graph = pruned()
    (HERE / "pruned.tflite").write_bytes(graph.finished())
    expected["pruned.tflite"] = graph.constants
    (HERE / "expected_tflite.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
