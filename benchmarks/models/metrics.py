"""The command line that all evaluations share, and the metrics that more than one of them uses."""

import argparse
import math
import pathlib
import sys

import numpy as np


def report(evaluate, description):
    """Run `evaluate(model)` on the file that the command line names and print its metrics, one `name value` a line.

    It returns the metrics by name, the figure of merit last, and what the network put out [examples, values]. With a
    reference, which is the original model or what it put out before, the two outputs are compared first.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path, help="model file, original or restored")
    parser.add_argument("--reference", metavar="ORIGINAL", type=pathlib.Path, help="original, or its outputs (.npy)")
    parser.add_argument("--outputs", metavar="FILE.npy", type=pathlib.Path, help="where to write the outputs")
    arguments = parser.parse_args()
    results, outputs = evaluate(arguments.model)
    if arguments.outputs:
        np.save(arguments.outputs, outputs)
    if arguments.reference:
        itself = arguments.reference == arguments.model
        expected = outputs if itself else outputs_of(arguments.reference, evaluate)
        results = compare(outputs, expected) | results
    if not results:
        sys.exit(f"{arguments.model}: expected --reference ORIGINAL to compare with, found none")
    for name, value in results.items():
        if not math.isfinite(value):
            sys.exit(f"{arguments.model}: expected a finite {name}, found {value}")
        print(f"{name} {value:.6f}")


def outputs_of(reference, evaluate):
    return np.load(reference) if reference.suffix == ".npy" else evaluate(reference)[1]


def compare(outputs, expected):
    """Relative L2 error of the outputs, and the mean cosine of the angle between each and the expected one."""
    if outputs.shape != expected.shape:
        sys.exit(f"expected outputs of shape {list(expected.shape)}, found {list(outputs.shape)}")
    lengths = np.linalg.norm(outputs, axis=1) * np.linalg.norm(expected, axis=1)
    return {
        "relative-error": np.linalg.norm(outputs - expected) / np.linalg.norm(expected),
        "cosine": ((outputs * expected).sum(axis=1) / lengths).mean(),
    }


def edit_distance(first, second):
    """Fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for index, left in enumerate(first, 1):
        above, row = row, [index]
        for column, right in enumerate(second, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (left != right)))
    return row[-1]


def area_under_roc_curve(scores, positive):
    """Probability that a positive example scores above a negative one, ties counting half (Mann-Whitney U)."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    positives, negatives = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def equal_error_rate(scores, positive):
    """Rate of misses where it equals the rate of false alarms, as the threshold on `scores` moves."""
    labels = positive[np.argsort(scores, kind="stable")]
    misses = np.cumsum(labels) / labels.sum()
    false_alarms = 1 - np.cumsum(~labels) / (~labels).sum()
    crossing = np.argmin(np.abs(misses - false_alarms))
    return (misses[crossing] + false_alarms[crossing]) / 2


def log_probabilities(logits):
    """Natural logarithm of softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits, labels):
    """Mean surprise, in nats, at `labels` [examples] given `logits` [examples, classes]."""
    return -log_probabilities(logits)[np.arange(len(labels)), labels].mean()
