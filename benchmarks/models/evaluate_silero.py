"""F1 and AUC of silero-vad (convolutions and an LSTM that tell speech from silence) on 390 s of meetings.

Needs only numpy and safetensors: the forward pass is the package's own for this file (silero_vad/tinygrad_model.py),
written out.
"""

import numpy as np
from safetensors.numpy import load_file

import metrics
import voice

PADDING = 64  # samples mirrored at the end of a window
STRIDES = {"conv1": 1, "conv2": 2, "conv3": 2, "conv4": 1}


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2  # unlike 1 / (1 + exp(-x)), overflows for no x


def convolve(x, weight, stride):
    """Convolution of `x` [windows, channels, time] with `weight` [out, channels, width], nothing added at the ends."""
    patches = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2], axis=2)[:, :, ::stride]
    return np.tensordot(patches, weight, axes=((1, 3), (1, 2))).transpose(0, 2, 1)


def encode(tensors, windows):
    """Features [windows, 128] of `windows` [windows, samples]: a spectrum and four convolutions."""
    padded = np.pad(windows, ((0, 0), (0, PADDING)), mode="reflect")[:, None]
    spectrum = convolve(padded, tensors["stft_conv.weight"], stride=128)
    real, imaginary = np.split(spectrum, 2, axis=1)
    x = np.sqrt(real**2 + imaginary**2)
    for layer, stride in STRIDES.items():
        x = convolve(np.pad(x, ((0, 0), (0, 0), (1, 1))), tensors[layer + ".weight"], stride)
        x = np.maximum(x + tensors[layer + ".bias"][:, None], 0)
    return x[:, :, 0]


def speech_probabilities(tensors, windows):
    """Probability of speech in each of `windows` [windows, samples], the LSTM running through all of them."""
    bias = tensors["lstm_cell.bias_ih"] + tensors["lstm_cell.bias_hh"]
    driven = encode(tensors, windows) @ tensors["lstm_cell.weight_ih"].T + bias
    recurrent = tensors["lstm_cell.weight_hh"].T
    hidden = cell = np.zeros(len(recurrent), np.float32)
    states = np.empty((len(windows), len(recurrent)), np.float32)
    for index in range(len(windows)):
        input_gate, forget_gate, candidate, output_gate = np.split(driven[index] + hidden @ recurrent, 4)
        cell = sigmoid(forget_gate) * cell + sigmoid(input_gate) * np.tanh(candidate)
        hidden = states[index] = sigmoid(output_gate) * np.tanh(cell)
    return sigmoid(np.maximum(states, 0) @ tensors["final_conv.weight"][0, :, 0] + tensors["final_conv.bias"])


def evaluate(model):
    tensors = load_file(model)
    return voice.evaluate(lambda windows: speech_probabilities(tensors, windows))


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
