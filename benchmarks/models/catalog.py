"""The real networks that the benchmarks run on."""

import collections
import sys

import fetched

# `file` is relative to the fetched models; `evaluation` is the script here that judges it; `metrics` are
# those of its figures that may change by 1 %: continuous ones, since accuracy on few examples moves by chance.
Model = collections.namedtuple("Model", "name file format evaluation metrics")

MODELS = [
    Model("mnist", "mnist/mnist.pth", "PyTorch", "evaluate_mnist.py", ["cross-entropy"]),
    Model("silero", "silero/silero_vad_16k.safetensors", "safetensors", "evaluate_silero.py", ["AUC"]),
    Model("resemblyzer", "resemblyzer/pretrained.pt", "PyTorch before 1.6", "evaluate_resemblyzer.py", ["AUC"]),
    Model(
        "efficientnet",
        "efficientnet/efficientnet-lite0-57934424.pth",
        "PyTorch before 1.6",
        "evaluate_efficientnet.py",
        ["cross-entropy"],
    ),
    Model("minilm", "minilm/model.safetensors", "safetensors", "evaluate_minilm.py", ["lee-pearson", "cosine"]),
    Model("astra", "astra/astra_encoder.pt", "PyTorch, bfloat16", "evaluate_astra.py", ["cosine"]),
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
