"""The command line that all evaluations share, and the metrics that more than one of them uses."""

import argparse
import math
import pathlib
import sys

import numpy as np


def report(evaluate, description):
    """Run `evaluate(model, reference)` on the files that the command line names and print the metrics it returns.

    `reference` is the original model, or None. One `name value` line for each metric; the last is the figure of merit.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path, help="model file, original or restored")
    parser.add_argument("--reference", metavar="ORIGINAL", type=pathlib.Path, help="original, to compare outputs with")
    arguments = parser.parse_args()
    for name, value in evaluate(arguments.model, arguments.reference).items():
        if not math.isfinite(value):
            sys.exit(f"{arguments.model}: expected a finite {name}, found {value}")
        print(f"{name} {value:.6f}")


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


def mean_cosine(features, reference):
    """Mean cosine of the angle between rows of `features` and of `reference`, both [examples, features]."""
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(reference, axis=1)
    return ((features * reference).sum(axis=1) / lengths).mean()
