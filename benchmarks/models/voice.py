"""What the evaluations of silero-vad's files share: windows of meetings to find speech in, and the score."""

import numpy as np

import metrics
import speech

WINDOW, CONTEXT = 512, 64  # samples: new in each window, kept of the one before


def windows_of(samples):
    """The whole windows of `samples`, each with the end of the one before it [windows, CONTEXT + WINDOW]."""
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), samples])
    return np.stack([padded[start:][: CONTEXT + WINDOW] for start in range(0, len(samples) - WINDOW + 1, WINDOW)])


def labels_of(recording, count):
    """Whether there is speech in each of the first `count` windows: their middles lie in a speaker's turn."""
    middles = (np.arange(count) + 0.5) * WINDOW / speech.RATE
    return np.any([(middles >= turn.start) & (middles < turn.end) for turn in recording.turns], axis=0)


def evaluate(speech_probabilities):
    """F1 and AUC, and the probabilities themselves [1, windows].

    `speech_probabilities(windows)` gives the probability of speech in each window of one recording. A window of 32 ms
    is speech if its middle lies in any speaker's turn.
    """
    probabilities, labels = [], []
    for recording in speech.recordings():
        found = speech_probabilities(windows_of(recording.samples))
        probabilities.append(found)
        labels.append(labels_of(recording, len(found)))
    probabilities, labels = np.concatenate(probabilities), np.concatenate(labels)
    detected = probabilities > 0.5
    results = {
        "F1": 2 * (detected & labels).sum() / (detected.sum() + labels.sum()),
        "AUC": metrics.area_under_roc_curve(probabilities, labels),
    }
    return results, probabilities[None]
