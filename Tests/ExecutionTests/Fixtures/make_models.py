"""Makes the small ONNX models that the tests run. Needs numpy and onnx (Tests/requirements.txt).

    .venv-tests/bin/python Tests/ExecutionTests/Fixtures/make_models.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def save(name, nodes, inputs, outputs, weights):
    initializers = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="wcodec")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, FOLDER / f"{name}.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def linear():
    """y = x w + b with whole numbers."""
    save(
        "linear",
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        [value("x", FLOAT, ["batch", 4])],
        [value("y", FLOAT, ["batch", 3])],
        {"w": np.arange(12, dtype=np.float32).reshape(4, 3), "b": np.array([100, 200, 300], np.float32)},
    )


def lookup():
    """Rows of a table times a scalar, and the indices themselves."""
    save(
        "lookup",
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("Mul", ["rows", "scale"], ["vectors"]),
            helper.make_node("Identity", ["ids"], ["same"]),
        ],
        [value("ids", INT64, ["count"]), value("scale", FLOAT, [])],
        [value("vectors", FLOAT, ["count", 2]), value("same", INT64, ["count"])],
        {"table": np.array([[1, 2], [3, 4], [5, 6]], np.float32)},
    )


def picture():
    """The mean of each channel of a picture of 2x2 pixels."""
    save(
        "picture",
        [helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[2, 3], keepdims=0)],
        [value("pixels", FLOAT, ["batch", 3, 2, 2])],
        [value("means", FLOAT, ["batch", 3])],
        {},
    )


def classifier():
    """A layer of 64 x 32 weights and softmax, large enough to be packed."""
    random = np.random.RandomState(0)
    save(
        "classifier",
        [helper.make_node("Gemm", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)],
        [value("x", FLOAT, ["batch", 64])],
        [value("p", FLOAT, ["batch", 32])],
        {"w": random.normal(0, 0.3, (64, 32)).astype(np.float32)},
    )


def convolutions():
    """Two convolutions, the first with an activation, the mean of each channel, and a matrix large enough to be packed."""
    random = np.random.RandomState(1)

    def weights(*shape):
        return random.normal(0, 0.3, shape).astype(np.float32)

    save(
        "convolutions",
        [
            helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="first", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["r"], name="active"),
            helper.make_node("Conv", ["r", "w2"], ["c"], name="second"),
            helper.make_node("GlobalAveragePool", ["c"], ["g"], name="mean"),
            helper.make_node("Flatten", ["g"], ["f"], name="flat"),
            helper.make_node("Gemm", ["f", "w3"], ["y"], name="last", transB=1),
        ],
        [value("x", FLOAT, ["batch", 3, 8, 8])],
        [value("y", FLOAT, ["batch", 32])],
        {"w1": weights(16, 3, 3, 3), "b1": weights(16), "w2": weights(64, 16, 1, 1), "w3": weights(32, 64)},
    )


if __name__ == "__main__":
    convolutions()
    linear()
    lookup()
    picture()
    classifier()
