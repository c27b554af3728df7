"""F1 and AUC of silero-vad's ONNX files (convolutions and an LSTM that tell speech from silence) on 390 s of meetings.

The file that takes a whole recording gets one, the others one window after another. Needs numpy and onnxruntime.
"""

import numpy as np

import metrics
import onnx_session
import speech
import voice

HIDDEN = 128


def whole_recording(session, windows):
    zeros = np.zeros((1, 1, HIDDEN), np.float32)
    return session.run(["speech_probs"], {"input": windows, "h": zeros, "c": zeros})[0]


def window_by_window(session, inputs, windows):
    state = np.zeros((2, 1, HIDDEN), np.float32)
    fixed = {"sr": np.array(speech.RATE, np.int64)} if "sr" in inputs else {}
    found = []
    for window in windows:
        probability, state = session.run(["output", "stateN"], {"input": window[None], "state": state} | fixed)
        found.append(probability[0, 0])
    return np.array(found)


def evaluate(model):
    session = onnx_session.open(model)
    inputs = {value.name for value in session.get_inputs()}
    if "h" in inputs:
        return voice.evaluate(lambda windows: whole_recording(session, windows))
    return voice.evaluate(lambda windows: window_by_window(session, inputs, windows))


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
