"""Bits per character that textgenrnn (two LSTMs and attention over characters) needs for English text.

Each of 4,000 characters of the King James Bible is predicted from the 40 before it. Needs numpy and h5py: the forward
pass is the package's own (textgenrnn/model.py), written out; its LSTMs are stored in cuDNN's layout.
"""

import json
import math

import h5py
import numpy as np

import fetched
import metrics

CHARACTERS, CONTEXT = 4000, 40
BATCH = 1000
GATES = 4  # input, forget, candidate, output


def text():
    """Contexts [CHARACTERS, CONTEXT] and the character after each [CHARACTERS], as numbers of the vocabulary."""
    vocabulary = json.loads((fetched.folder("textgenrnn") / "textgenrnn_vocab.json").read_text(encoding="utf-8"))
    words = (fetched.folder("text") / "kjv.txt").read_text(encoding="utf-8").split()
    known = [vocabulary[character] for character in " ".join(words) if character in vocabulary]
    tokens = np.array(known[: CHARACTERS + CONTEXT])
    return np.lib.stride_tricks.sliding_window_view(tokens, CONTEXT)[:CHARACTERS], tokens[CONTEXT:]


def load(model):
    """The arrays of a Keras weight file, by name without the layer's, which comes twice."""
    tensors = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            tensors[name.split("/", 1)[1]] = item[()]

    with h5py.File(model) as file:
        file.visititems(add)
    return tensors


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run_lstm(tensors, layer, x):
    """States [examples, time, 128] after each of `x` [examples, time, features]."""
    # cuDNN keeps each gate's matrix transposed, and the bias of the input and of the state apart.
    gates = np.hsplit(tensors[layer + "/kernel:0"], GATES)
    kernel = np.hstack([gate.T.reshape(gate.shape, order="F") for gate in gates])
    recurrent = np.hstack([gate.T for gate in np.hsplit(tensors[layer + "/recurrent_kernel:0"], GATES)])
    bias = tensors[layer + "/bias:0"].reshape(2, -1).sum(axis=0)
    hidden = cell = np.zeros((len(x), len(recurrent)), np.float32)
    states = []
    for moment in range(x.shape[1]):
        gates = np.split(x[:, moment] @ kernel + hidden @ recurrent + bias, GATES, axis=1)
        input_gate, forget_gate, output_gate = (sigmoid(gates[index]) for index in (0, 1, 3))
        cell = forget_gate * cell + input_gate * np.tanh(gates[2])
        hidden = output_gate * np.tanh(cell)
        states.append(hidden)
    return np.stack(states, axis=1)


def predict(tensors, contexts):
    """Logits [examples, characters]."""
    embedded = tensors["embedding/embeddings:0"][contexts]
    first = run_lstm(tensors, "rnn_1", embedded)
    second = run_lstm(tensors, "rnn_2", first)
    features = np.concatenate([embedded, first, second], axis=2)
    attention = np.exp(metrics.log_probabilities((features @ tensors["attention/attention_W:0"])[..., 0]))
    return (features * attention[..., None]).sum(axis=1) @ tensors["output/kernel:0"] + tensors["output/bias:0"]


def evaluate(model):
    tensors = load(model)
    contexts, labels = text()
    batches = [contexts[start : start + BATCH] for start in range(0, CHARACTERS, BATCH)]
    logits = np.concatenate([predict(tensors, batch) for batch in batches])
    results = {
        "accuracy": (logits.argmax(axis=1) == labels).mean(),
        "bits-per-character": metrics.cross_entropy(logits, labels) / math.log(2),
    }
    return results, logits


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
