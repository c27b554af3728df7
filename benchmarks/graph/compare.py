"""Compares `wcodec graph` and `wcodec estimate` with ONNX Runtime, on models that are there.

    python3 benchmarks/graph/compare.py [FOLDER ...]

Of each ONNX model under the folders (.models unless given): shape and type of every value of the main graph as the engine computes
it; multiply-adds, counted from the engine's own shapes; the peak of what the engine asks for while it runs. Inputs have the sizes
of `SIZES`, or 1 where the model leaves them open. Needs onnx, onnxruntime and numpy.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import engine

HERE = pathlib.Path(__file__).resolve().parent
WCODEC = HERE.parents[1] / ".build/release/wcodec"
# By the model's file: sizes of its inputs, and values of those that say which way it goes.
SIZES = {
    "silero_vad_16k_sequence.onnx": {"input": (64, 576)},
    "silero": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "ch_PP-OCRv4_rec_infer.onnx": {"x": (1, 3, 48, 320)},
    "model.onnx": {"bytes": (1, 2048)},
}
VALUES = {"sr": 16000}
TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float16)": "float16"}
NAMES = {
    "float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "int32": "I32", "int8": "I8", "uint8": "U8",
    "bool": "BOOL",
}


def inputs_of(session, path):
    sizes = next((value for key, value in SIZES.items() if path.name.startswith(key)), {})
    inputs = {}
    for info in session.get_inputs():
        shape = sizes.get(info.name) or [size if isinstance(size, int) else 1 for size in info.shape]
        kind = np.dtype(TYPES[info.type])
        random = np.random.default_rng(1).random(shape)
        inputs[info.name] = (
            np.full(shape, VALUES.get(info.name, 7), kind) if kind.kind == "i" else np.ascontiguousarray(random, kind))
    return inputs


def options():
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    quiet.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return quiet


def computed(path, inputs):
    """All values of the main graph as the engine computes them, and the model."""
    model = onnx.load(path)
    given = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in given:
                model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    values = dict(zip(names, session.run(names, inputs)))
    values.update(inputs)
    values.update({tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer})
    return model, values


def bound(path, inputs):
    """The model with the inputs' sizes in it: the engine writes over values only whose sizes it knows beforehand."""
    model = onnx.load(path)
    for info in model.graph.input:
        if info.name in inputs:
            shape = info.type.tensor_type.shape
            shape.ClearField("dim")
            for size in inputs[info.name].shape:
                shape.dim.add().dim_value = size
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return model


def multiply_adds(model, values):
    """Of products, convolutions and recurrent layers; nothing of layers that have weights only as inputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        names = [name for name in node.input if name]
        if all(name in constants for name in names) and (names or node.op_type == "Constant"):
            constants.update(node.output)
            continue
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        shapes = [values[name].shape if name else () for name in node.input]
        if node.op_type == "MatMul":
            total += values[node.output[0]].size * shapes[0][-1]
        elif node.op_type == "Gemm":
            total += values[node.output[0]].size * shapes[0][0 if attributes.get("transA") else 1]
        elif node.op_type == "Conv":
            total += values[node.output[0]].size * math.prod(shapes[1][1:])
        elif node.op_type == "ConvTranspose":
            total += values[node.input[0]].size * math.prod(shapes[1][1:])
        elif node.op_type in ("LSTM", "GRU", "RNN"):
            steps, batch, _ = shapes[0]
            total += steps * batch * (math.prod(shapes[1]) + math.prod(shapes[2]))
        elif node.op_type == "If":
            return None
    return total


def ours(command, path, inputs):
    arguments = [str(WCODEC), command, str(path), "--json"]
    for name, array in inputs.items():
        arguments += ["--shape", f"{name}={'x'.join(map(str, array.shape)) or 'scalar'}"]
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def compare(memory, path):
    session = onnxruntime.InferenceSession(str(path), options(), providers=["CPUExecutionProvider"])
    inputs = inputs_of(session, path)
    model, values = computed(path, inputs)
    graph = ours("graph", path, inputs)["graph"]
    wrong, unknown, known = [], 0, 0
    for layer in graph["layers"]:
        for name in layer["outputs"]:
            value, array = graph["values"].get(name, {}), values.get(name)
            if array is None:
                continue
            shape = value.get("shape")
            if shape is None or None in shape or any(isinstance(size, str) for size in shape):
                unknown += 1
            else:
                known += 1
            expected = list(array.shape)
            sizes = shape if shape is not None else expected
            if len(sizes) != len(expected) or any(
                isinstance(a, int) and a != b for a, b in zip(sizes, expected)
            ) or value.get("type", NAMES[str(array.dtype)]) != NAMES[str(array.dtype)]:
                wrong.append(f"{layer['id']}: {value.get('type')} {shape}, engine {array.dtype} {expected}")
    estimate = ours("estimate", path, inputs)
    outputs = [value.name for value in session.get_outputs()]
    peaks = []
    for level in (engine.NONE, engine.BASIC):
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            onnx.save(bound(path, inputs), file.name)
            try:
                peaks.append(memory.peak(file.name, inputs, outputs, level))
            except RuntimeError:
                # A branch that does not fit the sizes is refused once they are known.
                peaks.append(memory.peak(path, inputs, outputs, level))
    own = estimate["memory"]["peakActivationBytes"]
    count = multiply_adds(model, values)
    print(
        f"| {path.name} | {known} | {unknown} | {len(wrong)} | {estimate['multiplyAdds']:,} | "
        f"{'-' if count is None else f'{count:,}'} | {own:,} | {peaks[0]:,} | {peaks[1]:,} | {100 * min((own / peak - 1 for peak in peaks), key=abs):+.1f} % |", flush=True)
    for line in wrong:
        print("   ", line)
    return not wrong and count in (None, estimate["multiplyAdds"]) and min(abs(own / peak - 1) for peak in peaks) <= 0.1


def main():
    folders = [pathlib.Path(argument) for argument in sys.argv[1:]] or [HERE.parents[1] / ".models"]
    memory = engine.Engine()
    print("| model | shapes known | open | wrong | multiply-adds | counted | peak bytes | as it is | folded | nearest |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    good = [compare(memory, path) for folder in folders for path in sorted(folder.rglob("*.onnx")) if "venv" not in path.parts]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
