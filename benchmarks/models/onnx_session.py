"""Opening an ONNX file in ONNX Runtime."""

import onnxruntime

ERRORS_ONLY = 3


def open(model):
    """A session on the processor that prints errors only."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
