"""The real networks that the benchmarks and the round trips run on."""

import collections
import sys

import fetched

# `file` is relative to the fetched models; `evaluation` is the script here that judges it; `metrics` are
# those of its figures that may change by 1 %: continuous ones, since accuracy on few examples moves by chance;
# `tolerance` is the relative L2 error that the defaults may make in what the network puts out.
Model = collections.namedtuple("Model", "name task layers file format evaluation metrics tolerance")

MODELS = [
    Model("mnist", "digits", "conv, FC", "mnist/mnist.pth", "PyTorch", "evaluate_mnist.py", ["cross-entropy"], 0.01),
    Model(
        "silero",
        "speech or silence",
        "conv, LSTM",
        "silero/silero_vad_16k.safetensors",
        "safetensors",
        "evaluate_silero.py",
        ["AUC"],
        0.05,
    ),
    Model(
        "silero-onnx",
        "speech or silence",
        "conv, LSTM",
        "silero/silero_vad_16k_sequence.onnx",
        "ONNX",
        "evaluate_silero_onnx.py",
        ["AUC"],
        0.05,
    ),
    Model(
        "silero-jit",
        "speech or silence",
        "conv, LSTM",
        "silero/silero_vad.jit",
        "TorchScript",
        "evaluate_silero_jit.py",
        ["AUC"],
        0.05,
    ),
    Model(
        "g2p",
        "spelling to sound",
        "embedding, GRU, FC",
        "g2p/checkpoint20.npz",
        "npz",
        "evaluate_g2p.py",
        ["cross-entropy"],
        0.05,
    ),
    Model(
        "textgenrnn",
        "next character",
        "embedding, LSTM, FC",
        "textgenrnn/textgenrnn_weights.hdf5",
        "HDF5",
        "evaluate_textgenrnn.py",
        ["bits-per-character"],
        0.05,
    ),
    Model(
        "magika",
        "type of a file",
        "embedding, conv, FC",
        "magika/model.onnx",
        "ONNX",
        "evaluate_magika.py",
        ["cross-entropy"],
        0.05,
    ),
    Model(
        "ocr",
        "reading print",
        "conv, attention, FC",
        "ocr/ch_PP-OCRv4_rec_infer.onnx",
        "ONNX",
        "evaluate_ocr.py",
        ["character-accuracy"],
        0.25,  # of probabilities: a letter read one step later is a large error
    ),
    Model(
        "detector",
        "finding print",
        "conv, depthwise conv",
        "ocr/ch_PP-OCRv4_det_infer.onnx",
        "ONNX",
        "evaluate_detector.py",
        ["IoU"],
        0.3,  # of a map that is 0 or 1 nearly everywhere: an edge that moves by a pixel is a large error
    ),
    Model(
        "resemblyzer",
        "who speaks",
        "LSTM, FC",
        "resemblyzer/pretrained.pt",
        "PyTorch before 1.6",
        "evaluate_resemblyzer.py",
        ["AUC"],
        0.15,
    ),
    Model(
        "efficientnet",
        "photographs",
        "depthwise conv, FC",
        "efficientnet/efficientnet-lite0-57934424.pth",
        "PyTorch before 1.6",
        "evaluate_efficientnet.py",
        ["cross-entropy"],
        0.05,
    ),
    Model(
        "minilm",
        "meaning of sentences",
        "embedding, transformer",
        "minilm/model.safetensors",
        "safetensors",
        "evaluate_minilm.py",
        ["lee-pearson", "cosine"],
        0.05,
    ),
    Model(
        "astra",
        "features of CT scans",
        "3-D conv",
        "astra/astra_encoder.pt",
        "PyTorch, bfloat16",
        "evaluate_astra.py",
        ["cosine"],
        0.05,
    ),
    Model(
        "smollm2",
        "next word",
        "transformer decoder",
        "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "GGUF, Q4_1",
        "evaluate_smollm2.py",
        ["perplexity"],
        0.05,
    ),
    Model(
        "smollm2-f16",
        "next word",
        "transformer decoder",
        "smollm2/SmolLM2-135M-Instruct.F16.gguf",
        "GGUF, float16",
        "evaluate_smollm2.py",
        ["perplexity"],
        0.1,
    ),
]


def chosen(names):
    """The models with these names, or all; ends the program on a name that is not one, or a file that is missing."""
    known = {model.name for model in MODELS}
    for name in names:
        if name not in known:
            sys.exit(f"expected one of {', '.join(sorted(known))}, found '{name}'")
    models = [model for model in MODELS if not names or model.name in names]
    for model in models:
        fetched.file(model.file)
    return models
