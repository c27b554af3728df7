#!/usr/bin/env python3
"""Evaluate the digits network: its cross-entropy and accuracy on the 600 images it was not trained on.

    evaluate_digits.py [--metric accuracy|cross-entropy] MODEL

MODEL is digits.safetensors, digits.pt, or what a codec restored of either. Only numpy is needed: the file is read and
the forward pass computed here, so that nothing but the weights can change the result. Prints two lines, the chosen
metric last, so that the last number printed is the figure of merit.
"""

import argparse
import json
import math
import os
import pickle
import sys
import zipfile
from collections import OrderedDict

import numpy as np

TEST_SET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits_test.npz")
BATCH_NORM_EPSILON = 1e-5  # torch.nn.BatchNorm2d's default, with which the network was trained


# Reading model files


def read_safetensors(path):
    """Tensors of a safetensors file, by name: an 8-byte header length, a JSON header, then the values."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        values = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(values[start:end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class StateDictUnpickler(pickle.Unpickler):
    """Unpickles a torch state_dict to numpy arrays; knows no other class than those it is made of."""

    def __init__(self, archive, folder):
        super().__init__(archive.open(folder + "data.pkl"))
        self.archive, self.folder = archive, folder

    def find_class(self, module, name):
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self.rebuild_tensor,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a state_dict of float32 and int64 tensors")
        return known[module, name]

    def persistent_load(self, identifier):
        _, dtype, key, _, count = identifier
        return np.frombuffer(self.archive.read(f"{self.folder}data/{key}"), dtype, count)

    @staticmethod
    def rebuild_tensor(storage, offset, shape, strides, *_):
        byte_strides = [stride * storage.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, byte_strides).copy()


def read_torch(path):
    """Tensors of a state_dict that torch.save wrote, by name: a ZIP of a pickle and one entry for each storage."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            sys.exit(f"{path}: expected one data.pkl in the ZIP, found {len(pickles)}")
        return dict(StateDictUnpickler(archive, pickles[0].removesuffix("data.pkl")).load())


def read_model(path):
    """Tensors of a safetensors or PyTorch file, by name; the content decides which, not the extension."""
    return read_torch(path) if zipfile.is_zipfile(path) else read_safetensors(path)


# The network


def convolve(tensors, layer, x):
    """Convolution of `x` [images, channels, height, width], same size out; depthwise if a filter has one channel."""
    weight = tensors[layer + ".weight"]
    margin = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    if weight.shape[1] == 1 and x.shape[1] > 1:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def normalize(tensors, layer, x):
    """Batch normalization of `x` [images, channels, height, width] by the statistics gathered in training."""
    scale = tensors[layer + ".weight"] / np.sqrt(tensors[layer + ".running_var"] + np.float32(BATCH_NORM_EPSILON))
    shift = tensors[layer + ".bias"] - tensors[layer + ".running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


def pool_columns(x):
    """Larger of each two neighbors in a row of `x` [images, channels, height, width]."""
    return np.maximum(x[..., 0::2], x[..., 1::2])


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2  # unlike 1 / (1 + exp(-x)), overflows for no x


def run_lstm(tensors, layer, x, direction):
    """Hidden states [images, steps, hidden] of one LSTM direction; `direction` is "" or "_reverse"."""
    input_weight, input_bias = tensors[f"{layer}.weight_ih_l0{direction}"], tensors[f"{layer}.bias_ih_l0{direction}"]
    weight, bias = tensors[f"{layer}.weight_hh_l0{direction}"], tensors[f"{layer}.bias_hh_l0{direction}"]
    driven = x @ input_weight.T + (input_bias + bias)
    hidden = cell = np.zeros((len(x), weight.shape[1]), np.float32)
    states = np.empty((len(x), x.shape[1], weight.shape[1]), np.float32)
    for step in reversed(range(x.shape[1])) if direction else range(x.shape[1]):
        input_gate, forget_gate, candidate, output_gate = np.split(driven[:, step] + hidden @ weight.T, 4, axis=1)
        cell = sigmoid(forget_gate) * cell + sigmoid(input_gate) * np.tanh(candidate)
        hidden = states[:, step] = sigmoid(output_gate) * np.tanh(cell)
    return states


def connect(tensors, layer, x):
    """Fully connected layer: `x` [images, in] to [images, out]."""
    return x @ tensors[layer + ".weight"].T + tensors[layer + ".bias"]


def classify(tensors, images):
    """Logits [images, 10] of `images` [images, 8, 8], gray values 0...16: the same network as train_digits.py's."""
    x = (images.astype(np.float32) / 8 - 1)[:, None]
    for block in ("conv1", "conv2", "depthwise", "pointwise"):
        x = np.maximum(normalize(tensors, block + "_norm", convolve(tensors, block, x)), 0)
    rows = pool_columns(x).transpose(0, 2, 1, 3).reshape(len(x), x.shape[2], -1)
    states = [run_lstm(tensors, "lstm", rows, direction) for direction in ("", "_reverse")]
    x = np.concatenate(states, axis=2).max(axis=1)
    return connect(tensors, "output", np.maximum(connect(tensors, "dense", x), 0))


# Judging it


def measure(tensors):
    """Mean cross-entropy (nats) and accuracy (0...1) on the test set."""
    with np.load(TEST_SET) as data:
        images, labels = data["images"], data["labels"]
    logits = classify(tensors, images).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    cross_entropy = -log_probabilities[np.arange(len(labels)), labels].mean()
    return {"cross-entropy": cross_entropy, "accuracy": (logits.argmax(axis=1) == labels).mean()}


def main():
    parser = argparse.ArgumentParser(description="Cross-entropy and accuracy of the digits network on its test set.")
    parser.add_argument("model", metavar="MODEL", help="safetensors file, or state_dict saved by torch")
    parser.add_argument("--metric", choices=("accuracy", "cross-entropy"), default="accuracy", help="printed last")
    arguments = parser.parse_args()
    metrics = measure(read_model(arguments.model))
    if not math.isfinite(metrics["cross-entropy"]):
        sys.exit(f"{arguments.model}: expected finite logits, found a cross-entropy of {metrics['cross-entropy']}")
    for name in sorted(metrics, key=lambda name: name == arguments.metric):
        print(f"{name} {metrics[name]:.6f}")


if __name__ == "__main__":
    main()
