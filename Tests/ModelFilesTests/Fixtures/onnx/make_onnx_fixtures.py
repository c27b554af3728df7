"""Writes the small ONNX models beside this script, and expected.json with what is in them.

Made with onnx 1.23.2, onnxruntime 1.31.1 (runs each of them), torch 2.13.0 and numpy 2.4.6; run it as
`python3 make_onnx_fixtures.py`. The files are committed, so that tests need none of these.
"""

import json
import pathlib
import warnings
import zlib

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
NAMES = {
    TensorProto.FLOAT: "F32", TensorProto.DOUBLE: "F64", TensorProto.FLOAT16: "F16", TensorProto.BFLOAT16: "BF16",
    TensorProto.INT64: "I64", TensorProto.INT32: "I32", TensorProto.INT16: "I16", TensorProto.INT8: "I8",
    TensorProto.UINT64: "U64", TensorProto.UINT32: "U32", TensorProto.UINT16: "U16", TensorProto.UINT8: "U8",
    TensorProto.BOOL: "BOOL", TensorProto.COMPLEX64: "C64", TensorProto.COMPLEX128: "C128",
    TensorProto.FLOAT8E4M3FN: "F8_E4M3", TensorProto.FLOAT8E4M3FNUZ: "F8_E4M3FNUZ", TensorProto.FLOAT8E5M2: "F8_E5M2",
    TensorProto.FLOAT8E5M2FNUZ: "F8_E5M2FNUZ", TensorProto.FLOAT8E8M0: "F8_E8M0", TensorProto.INT4: "I4",
    TensorProto.UINT4: "U4", TensorProto.FLOAT4E2M1: "F4",
}
SUBBYTE = {"I4", "U4", "F4"}
OPSETS = [helper.make_opsetid("", 17)]
random = np.random.default_rng(1)
expected = {}


def weights(*shape, dtype=np.float32):
    """Bell-shaped values whose scale differs by row, as in trained networks."""
    scale = np.exp(random.normal(size=(shape[0],) + (1,) * (len(shape) - 1)) / 4)
    return (random.normal(size=shape) * scale / 8).astype(dtype)


def describe(name, tensor, kind=None, convention=None, base=""):
    """One tensor as the tests expect it; `crc` is over its little-endian elements."""
    dtype = NAMES[tensor.data_type]
    entry = {"name": name, "dtype": dtype, "shape": list(tensor.dims), "kind": kind, "convention": convention}
    if dtype not in SUBBYTE:
        entry["crc"] = zlib.crc32(numpy_helper.to_array(tensor, base_dir=base).tobytes())
    return entry


def tensor(name, array, raw=True):
    if raw:
        return numpy_helper.from_array(array, name)
    return helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.reshape(-1).tolist())


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(file, model, tensors, runs=True):
    onnx.checker.check_model(model, full_check=runs)
    (HERE / file).write_bytes(model.SerializeToString(deterministic=True))
    if runs:
        run(HERE / file)
    expected[file] = tensors


def run(path):
    session = onnxruntime.InferenceSession(str(path))
    generator = np.random.default_rng(0)
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": bool}
    feed = {
        i.name: np.asarray(generator.normal(size=i.shape) * 2).astype(types[i.type]) if i.type != "tensor(int64)"
        else generator.integers(0, 8, size=i.shape) for i in session.get_inputs()}
    return session.run(None, feed)


class Graph:
    """A graph in the making, and what is expected of its tensors."""

    def __init__(self):
        self.nodes, self.initializers, self.inputs, self.outputs, self.expected = [], [], [], [], []

    def weight(self, name, array, kind=None, convention=None):
        made = tensor(name, array)
        self.initializers.append(made)
        self.expected.append(describe(name, made, kind, convention))
        return name

    def constant(self, name, array, kind=None, convention=None, listed=True):
        made = tensor("", array)
        self.nodes.append(helper.make_node("Constant", [], [name], value=made))
        if listed:
            self.expected.append(describe(name, made, kind, convention))
        return name

    def node(self, operation, *inputs, outputs=None, **attributes):
        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, outputs or [name + "_out"], name=name, **attributes))
        return (outputs or [name + "_out"])[0]

    def input(self, name, shape, kind=TensorProto.FLOAT):
        self.inputs.append(value(name, shape, kind))
        return name

    def output(self, name, kind=TensorProto.FLOAT, shape=None):
        self.outputs.append(value(name, shape, kind))

    def made(self, name="graph"):
        return helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.initializers)

    def model(self, **options):
        model = helper.make_model(
            self.made(), opset_imports=options.pop("opset_imports", OPSETS), ir_version=10, producer_name="fixtures", **options)
        # The outputs' shapes are for the library to tell.
        for output, inferred in zip(model.graph.output, onnx.shape_inference.infer_shapes(model).graph.output):
            output.CopyFrom(inferred)
        return model


def operators():
    """A weight of every operator that reads weights, directly and through what may stand between."""
    g = Graph()
    x = g.input("x", [2, 32])
    g.output(g.node("MatMul", x, g.weight("matmul", weights(32, 40), "fc", "onnx")))
    g.output(g.node("MatMul", g.weight("matmul.left", weights(5, 2), "fc", "pytorch"), x))
    g.output(g.node("Gemm", x, g.weight("gemm", weights(32, 33), "fc", "onnx"), g.weight("gemm.bias", weights(33))))
    g.output(g.node("Gemm", x, g.weight("gemm.turned", weights(34, 32), "fc", "pytorch"), transB=1))
    turned = g.node("Transpose", g.weight("transposed", weights(36, 32), "fc", "pytorch"), perm=[1, 0])
    g.output(g.node("MatMul", x, turned))
    half = g.node("Cast", g.weight("half", weights(32, 35, dtype=np.float16), "fc", "onnx"), to=TensorProto.FLOAT)
    g.output(g.node("MatMul", x, g.node("Identity", half)))
    brain = g.node("Cast", g.weight("brain", weights(32, 37, dtype=ml_dtypes.bfloat16), "fc", "onnx"), to=TensorProto.FLOAT)
    g.output(g.node("MatMul", x, brain))
    stack = g.weight("stack", weights(3, 32, 12), "fc", "onnx")
    g.output(g.node("MatMul", x, stack))

    # A tied embedding: the output layer outweighs it.
    table = g.weight("tied", weights(40, 32), "fc", "pytorch")
    ids = g.input("ids", [3], TensorProto.INT64)
    g.output(g.node("Gather", table, ids))
    g.output(g.node("MatMul", x, g.node("Transpose", table)))
    g.output(g.node("Gather", g.weight("table", weights(64, 17), "embedding", "pytorch"), ids))
    g.output(g.node("Gather", g.weight("columns", weights(9, 8)), ids, axis=1))

    image = g.input("image", [1, 8, 6, 6])
    g.output(g.node("Conv", image, g.weight("conv", weights(16, 8, 3, 3), "conv", "pytorch")))
    g.output(g.node("Conv", image, g.weight("conv.grouped", weights(8, 4, 3, 3), "conv", "pytorch"), group=2))
    g.output(g.node("Conv", image, g.weight("depthwise", weights(16, 1, 3, 3), "depthwise", "pytorch"), group=8))
    g.output(g.node("ConvTranspose", image, g.weight("transpose", weights(8, 16, 3, 3), "conv", "transposed")))
    g.output(g.node("ConvTranspose", image, g.weight("transpose.depthwise", weights(8, 1, 3, 3), "depthwise", "pytorch"), group=8))
    keras = g.node("Transpose", g.weight("conv.keras", weights(3, 3, 8, 4), "conv", "keras"), perm=[3, 2, 0, 1])
    g.output(g.node("Conv", image, keras))
    line = g.weight("conv.line", weights(4, 8, 3), "conv", "pytorch")
    axes = g.constant("axes", np.array([2]), listed=False)
    g.output(g.node("Conv", image, g.node("Unsqueeze", line, axes)))
    # Scales by channel are no convolution that an operator says.
    g.output(g.node("Mul", image, g.constant("scale", weights(1, 8, 1, 1))))
    g.output(g.node("Conv", image, g.constant("conv.constant", weights(4, 8, 1, 1), "conv", "pytorch")))

    sequence = g.input("sequence", [4, 1, 6])
    for operation, kind, gates in (("LSTM", "lstm", 4), ("GRU", "gru", 3), ("RNN", "fc", 1)):
        name = operation.lower()
        rule = "onnx" if gates > 1 else "pytorch"
        w = g.weight(f"{name}.w", weights(2, gates * 8, 6), kind, rule)
        r = g.weight(f"{name}.r", weights(2, gates * 8, 8), kind, rule)
        b = g.weight(f"{name}.b", weights(2, gates * 16), "vector", "onnx")
        g.output(g.node(operation, sequence, w, r, b, hidden_size=8, direction="bidirectional"))
    # As PyTorch's exporter reorders gates when it does not fold constants.
    pieces = []
    first = g.constant("first", np.array([0]), listed=False)
    torch = [g.weight("lstm.torch.w", weights(32, 6), "lstm", "pytorch"), g.weight("lstm.torch.r", weights(32, 8), "lstm", "pytorch")]
    for name in torch:
        parts = []
        for begin, end in ((0, 8), (24, 32), (8, 24)):
            begin, end = (g.constant(f"{name}.{begin}.{end}.{i}", np.array([v]), listed=False) for i, v in enumerate((begin, end)))
            parts.append(g.node("Slice", name, begin, end, first))
        pieces.append(g.node("Unsqueeze", g.node("Concat", *parts, axis=0), first))
    g.output(g.node("LSTM", sequence, *pieces, hidden_size=8))
    model = g.model()
    helper.set_model_props(model, {"note": "ü", "empty": ""})
    save("operators.onnx", model, g.expected)


def branches():
    """Weights in branches of If, under names that occur in both, in a Loop in one of them, and shared with the graph around."""
    def branch(inner, factor):
        g = Graph()
        made = tensor("w", weights(32, 32))
        g.initializers.append(made)
        prefix = f"switch/{'then_branch' if factor > 0 else 'else_branch'}/"
        g.expected.append(describe(prefix + "w", made, "fc", "onnx"))
        y = g.node("MatMul", "x", "w")
        y = g.node("Add", y, g.node("MatMul", "x", "shared"))
        if inner:
            body = Graph()
            body.inputs += [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", [2, 32])]
            constant = tensor("", weights(32, 32))
            body.nodes.append(helper.make_node("Constant", [], ["w.loop"], value=constant))
            g.expected.append(describe(prefix + "repeat/body/w.loop", constant, "fc", "onnx"))
            body.nodes.append(helper.make_node("MatMul", ["state", "w.loop"], ["next"]))
            body.nodes.append(helper.make_node("Identity", ["go"], ["on"]))
            body.outputs += [value("on", [], TensorProto.BOOL), value("next", [2, 32])]
            g.nodes.append(helper.make_node("Constant", [], ["times"], value=tensor("", np.array(2))))
            g.nodes.append(helper.make_node("Loop", ["times", "", y], ["looped"], name="repeat", body=body.made("body")))
            y = "looped"
        g.nodes.append(helper.make_node("Identity", [y], ["result"]))
        g.outputs.append(value("result", [2, 32]))
        return g

    g = Graph()
    g.input("x", [2, 32])
    g.input("condition", [], TensorProto.BOOL)
    g.weight("shared", weights(32, 32), "fc", "onnx")
    first, second = branch(True, 1), branch(False, -1)
    for part in (first, second):
        for node in part.nodes:
            node.name = node.name or node.op_type
    for node in first.nodes:
        if node.op_type == "Loop":
            node.name = "repeat"
    g.nodes.append(helper.make_node(
        "If", ["condition"], ["y"], name="switch", then_branch=first.made("then"), else_branch=second.made("else")))
    g.outputs.append(value("y", [2, 32]))
    save("branches.onnx", g.model(), g.expected + first.expected + second.expected)


def functions():
    """A function that holds a weight and is called with another, an operator of a domain of its own, and unknown fields."""
    inner = tensor("", weights(32, 32))
    body = [
        helper.make_node("Constant", [], ["inside"], value=inner), helper.make_node("MatMul", ["a", "inside"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "given"], ["b"])]
    function = helper.make_function("local", "twice", ["a", "given"], ["b"], body, OPSETS)
    g = Graph()
    x = g.input("x", [2, 32])
    g.weight("given.outside", weights(32, 32), "fc", "onnx")
    g.nodes.append(helper.make_node("twice", [x, "given.outside"], ["y"], domain="local"))
    g.output("y")
    opsets = OPSETS + [helper.make_opsetid("local", 1)]
    model = g.model(functions=[function], opset_imports=opsets)
    save("functions.onnx", model, g.expected + [describe("local.twice/inside", inner, "fc", "onnx")])

    custom = tensor("", weights(32, 32))
    more = [tensor("", weights(2, 3)), tensor("", weights(32, 33))]
    g.nodes.append(helper.make_node("Shape", ["x"], ["shape"], name="shape"))
    g.nodes.append(helper.make_node("Magic", ["y"], ["z"], name="magic", domain="made.up", table=custom, tables=more, level=3))
    g.outputs[0].CopyFrom(value("y", [2, 32]))
    g.output("z", shape=[2, 32])
    sparse = helper.make_sparse_tensor(tensor("sparse", weights(2)), tensor("sparse.places", np.array([1, 5])), [8])
    graph = g.made()
    graph.sparse_initializer.append(sparse)
    graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"b"]))
    model = helper.make_model(graph, functions=[function], opset_imports=opsets + [helper.make_opsetid("made.up", 4)], ir_version=10)
    onnx.checker.check_model(model)
    # Fields 999 (text), 1000 (a number) and 1001 (a group) are unknown to every schema, at each level.
    unknown = bytes([0xBA, 0x3E, 3]) + b"new" + bytes([0xC0, 0x3E, 42]) + bytes([0xCB, 0x3E, 0x08, 1, 0xCC, 0x3E])

    def insert(message):
        return type(message).FromString(unknown + message.SerializeToString() + unknown)

    model.graph.initializer[0].CopyFrom(insert(model.graph.initializer[0]))
    model.graph.node[0].CopyFrom(insert(model.graph.node[0]))
    model.graph.CopyFrom(insert(model.graph))
    (HERE / "unknown.onnx").write_bytes(unknown + model.SerializeToString() + unknown)
    assert (HERE / "unknown.onnx").read_bytes().count(unknown) == 8
    expected["unknown.onnx"] = g.expected + [
        describe("magic/table", custom), describe("magic/tables[0]", more[0]), describe("magic/tables[1]", more[1]),
        describe("local.twice/inside", inner, "fc", "onnx")]


def numbers():
    """Values in typed fields: runs of bytes (float_data, double_data) and numbers (everything else)."""
    g = Graph()
    x = g.input("x", [2, 32])

    def typed(name, array, *hint, listed=True):
        made = tensor(name, array, raw=False)
        g.initializers.append(made)
        if listed:
            g.expected.append(describe(name, made, *hint))
        return name

    g.output(g.node("MatMul", x, typed("float", weights(32, 33), "fc", "onnx")))
    g.output(g.node("MatMul", x, g.node("Cast", typed("double", weights(32, 34, dtype=np.float64), "fc", "onnx"), to=1)))
    g.output(g.node("Add", x, typed("small", weights(32))))
    save("runs.onnx", g.model(), list(g.expected))

    g.output(g.node("MatMul", x, g.node("Cast", typed("half", weights(32, 35, dtype=np.float16), "fc", "onnx"), to=1)))
    g.output(g.node("MatMul", x, g.node("Cast", typed("brain", weights(32, 36, dtype=ml_dtypes.bfloat16), "fc", "onnx"), to=1)))
    g.output(g.node("Add", x, g.node("Cast", typed("half.small", weights(32, dtype=np.float16), listed=False), to=1)))
    integers = typed("integers", random.integers(-9, 9, (40, 30)).astype(np.int8), listed=False)
    g.output(g.node("Identity", integers), TensorProto.INT8)

    # One more, in a branch, with a field for each value as protocol buffers before version 2.1 write them.
    apart = tensor("apart", weights(32, 32))
    branch = helper.make_graph([helper.make_node("MatMul", ["x", "apart"], ["r"])], "one", [], [value("r", [2, 32])], [apart])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["r2"])], "two", [], [value("r2", [2, 32])])
    g.input("condition", [], TensorProto.BOOL)
    g.nodes.append(helper.make_node("If", ["condition"], ["y"], name="switch", then_branch=branch, else_branch=other))
    g.output("y")
    model = g.model()
    run_check = HERE / "numbers.onnx"
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    values = np.frombuffer(apart.raw_data, np.float32)
    unpacked = b"".join(b"\x25" + v.tobytes() for v in values)
    run_check.write_bytes(replace_raw(data, [7, 1, 5, 6, 5], apart.raw_data, unpacked))
    run(run_check)
    expected["numbers.onnx"] = g.expected + [describe("switch/then_branch/apart", apart, "fc", "onnx")]


def replace_raw(message, path, raw, replacement):
    """The message with the tensor field that holds `raw` replaced, found through the fields of `path`, lengths renewed."""
    def varint(at):
        number = shift = 0
        while True:
            number |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                return number, at

    def coded(number):
        out = b""
        while number > 127:
            out += bytes([number & 127 | 128])
            number >>= 7
        return out + bytes([number])

    def walk(start, end, path):
        out, at = b"", start
        while at < end:
            begin = at
            tag, at = varint(at)
            if tag & 7 == 2:
                length, at = varint(at)
                content, at = message[at:at + length], at + length
                if not path and tag >> 3 == 9 and content == raw:
                    out += replacement
                elif path and tag >> 3 == path[0] and raw in content:
                    inner = walk(at - length, at, path[1:])
                    out += coded(tag) + coded(len(inner)) + inner
                else:
                    out += message[begin:at]
            else:
                if tag & 7 == 0:
                    _, at = varint(at)
                else:
                    at += 4 if tag & 7 == 5 else 8
                out += message[begin:at]
        return out

    return walk(0, len(message), path)


def external():
    """Weights in two files beside the model, one in a folder; two tensors with the same bytes; one without its length."""
    g = Graph()
    x = g.input("x", [2, 32])
    a, b = weights(32, 33), weights(32, 34)
    files = {"external.bin": bytes(64) + a.tobytes(), "data/more.bin": b.tobytes()}
    (HERE / "external" / "data").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (HERE / "external" / name).write_bytes(data)

    def outside(name, array, **entries):
        made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape, data_location=TensorProto.EXTERNAL)
        for key, entry in entries.items():
            made.external_data.add(key=key, value=str(entry))
        g.initializers.append(made)
        g.expected.append({
            "name": name, "dtype": "F32", "shape": list(array.shape), "kind": "fc", "convention": "onnx", "crc": zlib.crc32(array.tobytes())})
        g.output(g.node("MatMul", x, name))

    outside("first", a, location="external.bin", offset=64, length=a.nbytes)
    outside("second", b, location="data/more.bin")
    outside("again", a, location="external.bin", offset=64, length=a.nbytes)
    g.output(g.node("MatMul", x, g.weight("inside", weights(32, 3), "fc", "onnx")))
    path = HERE / "external" / "model.onnx"
    path.write_bytes(g.model().SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path))
    run(path)
    expected["external/model.onnx"] = g.expected


def dtypes():
    """A tensor of every element type."""
    g = Graph()
    for kind, name in NAMES.items():
        array = np.arange(6).reshape(2, 3) % 2
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        made = numpy_helper.from_array(array.astype(dtype), name.lower())
        assert made.data_type == kind, name
        g.initializers.append(made)
        g.expected.append(describe(name.lower(), made))
    g.initializers += [numpy_helper.from_array(np.float32(7), "scalar"), numpy_helper.from_array(np.zeros((0, 3), np.float32), "empty")]
    g.expected += [describe(t.name, t) for t in g.initializers[-2:]]
    x = g.input("x", [1])
    g.output(g.node("Identity", x))
    model = g.model(opset_imports=[helper.make_opsetid("", 23)])
    model.ir_version = 11
    save("dtypes.onnx", model, g.expected, runs=False)


def torch_export():
    """A network of every kind of layer as PyTorch's exporter writes it."""
    import torch
    from torch import nn

    warnings.filterwarnings("ignore")
    torch.manual_seed(1)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(40, 16)
            self.conv = nn.Conv1d(16, 24, 3, padding=1)
            self.depthwise = nn.Conv1d(24, 24, 3, padding=1, groups=24)
            self.up = nn.ConvTranspose1d(24, 16, 3, padding=1)
            self.lstm = nn.LSTM(16, 12, bidirectional=True)
            self.gru = nn.GRU(24, 12)
            self.fc = nn.Linear(12, 40, bias=False)

        def forward(self, ids):
            x = self.embedding(ids).permute(1, 2, 0)
            x = self.up(self.depthwise(torch.relu(self.conv(x)))).permute(2, 0, 1)
            return self.fc(self.gru(self.lstm(x)[0])[0])

    path = HERE / "torch.onnx"
    torch.onnx.export(Network().eval(), (torch.zeros(5, 1, dtype=torch.int64),), path, dynamo=False, opset_version=17)
    model = onnx.load(path)
    # The exporter's own version is of no interest.
    model.producer_version = ""
    kinds = {
        "embedding.weight": ("embedding", "pytorch"), "conv.weight": ("conv", "pytorch"), "depthwise.weight": ("depthwise", "pytorch"),
        "up.weight": ("conv", "transposed")}
    readers = {i: n for n in model.graph.node for i in n.input[1:3]}
    biases = {n.input[3] for n in model.graph.node if n.op_type in ("LSTM", "GRU")}
    tensors = []
    for made in model.graph.initializer:
        node = readers.get(made.name)
        kind = ("vector", "onnx") if made.name in biases else kinds.get(made.name, (None, None))
        if node is not None and made.name not in kinds and node.op_type in ("LSTM", "GRU", "MatMul"):
            kind = {"LSTM": ("lstm", "onnx"), "GRU": ("gru", "onnx"), "MatMul": ("fc", "onnx")}[node.op_type]
        tensors.append(describe(made.name, made, *kind))
    constants = [
        describe(n.output[0], n.attribute[0].t) for n in model.graph.node
        if n.op_type == "Constant" and n.attribute[0].t.data_type == 1 and np.prod(n.attribute[0].t.dims) > 1]
    save("torch.onnx", model, tensors + constants)


def main():
    operators()
    branches()
    functions()
    numbers()
    external()
    dtypes()
    torch_export()
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
