"""Compares an ONNX model with its restored copy: `compare.py ORIGINAL RESTORED [--lossless]`, status 0 when all is well.

Every field must be equal, unknown ones too, but for the values of float tensors of 1,024 elements or more, which must be close
(with --lossless: equal). The copy must pass onnx.checker and run in ONNX Runtime whenever the original does.
"""

import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

onnxruntime.set_default_logger_severity(3)
VALUES = ["raw_data", "float_data", "int32_data", "double_data", "int64_data", "uint64_data"]
FLOATS = [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16]


def tensors(nodes, initializers=()):
    """All tensors of a graph's or function's nodes and of what is nested in them."""
    yield from initializers
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from tensors(graph.node, graph.initializer)


def load(path):
    """The model without the values of large float tensors, and those values."""
    model = onnx.load(path)
    every = list(tensors(model.graph.node, model.graph.initializer))
    for function in model.functions:
        every += tensors(function.node)
    values = []
    for tensor in every:
        if tensor.data_type in FLOATS and np.prod(tensor.dims) >= 1024:
            values.append(numpy_helper.to_array(tensor).astype(np.float64))
            for field in VALUES:
                tensor.ClearField(field)
    return model, values


def outputs(path):
    """What the model computes of seeded inputs, or None when it cannot be loaded."""
    try:
        session = onnxruntime.InferenceSession(path)
    except Exception:
        return None
    generator = np.random.default_rng(0)
    feed = {}
    for entry in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in entry.shape]
        if entry.type == "tensor(int64)":
            feed[entry.name] = generator.integers(0, 8, size=shape)
        else:
            dtype = bool if entry.type == "tensor(bool)" else np.float32
            feed[entry.name] = np.asarray(generator.normal(size=shape)).astype(dtype)
    return session.run(None, feed)


def main(original, restored, *options):
    onnx.checker.check_model(restored)
    (before, old), (after, new) = load(original), load(restored)
    assert before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True), "fields differ"
    assert len(old) == len(new) and (old or "dtypes" in original), "tensors are missing"
    for a, b in zip(old, new):
        assert a.shape == b.shape
        distance = np.linalg.norm(a - b) / np.linalg.norm(a)
        assert distance < (1e-9 if "--lossless" in options else 0.02), f"distance {distance}"
    a, b = outputs(original), outputs(restored)
    assert (a is None) == (b is None), "the copy does not run"
    for x, y in zip(a or [], b or []):
        if np.issubdtype(x.dtype, np.floating):
            scale = np.linalg.norm(x) or 1
            assert np.linalg.norm(x - y) / scale < 0.2, f"an output is off by {np.linalg.norm(x - y) / scale}"


main(*sys.argv[1:])
