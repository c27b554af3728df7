"""F1 and AUC of silero-vad's TorchScript (convolutions and an LSTM that tell speech from silence) on 390 s of meetings.

Needs numpy and torch.
"""

import numpy as np
import torch

import metrics
import speech
import voice


def speech_probabilities(network, windows):
    """Probability of speech in each of `windows`; the network itself keeps the end of the one before."""
    network.reset_states()
    rows = torch.from_numpy(windows[:, voice.CONTEXT :].copy())
    return np.array([network(row[None], speech.RATE).item() for row in rows], np.float32)


@torch.no_grad()
def evaluate(model):
    torch.set_num_threads(1)  # one window at a time is too little to share
    network = torch.jit.load(str(model), map_location="cpu")
    network.eval()
    return voice.evaluate(lambda windows: speech_probabilities(network, windows))


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
