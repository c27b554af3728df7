"""What is compressed: the weights of each development model, and Gaussian noise, as safetensors files.

Every program gets the same file: only tensors of floating-point numbers, of two or more dimensions and at least 1,024
elements, which are what wcodec packs. Frameworks are imported only for the formats that need them.
"""

import sys

import numpy as np
import tensors

GAUSSIAN = "gaussian"
LEAST_ELEMENTS = 1024

# By name: file of the model. silero-onnx and silero-jit hold about what silero holds, smollm2 is already quantized.
FILES = {
    "silero": "silero/silero_vad_16k.safetensors",
    "mnist": "mnist/mnist.pth",
    "textgenrnn": "textgenrnn/textgenrnn_weights.hdf5",
    "magika": "magika/model.onnx",
    "g2p": "g2p/checkpoint20.npz",
    "resemblyzer": "resemblyzer/pretrained.pt",
    "ocr": "ocr/ch_PP-OCRv4_rec_infer.onnx",
    "efficientnet": "efficientnet/efficientnet-lite0-57934424.pth",
    "minilm": "minilm/model.safetensors",
    "astra": "astra/astra_encoder.pt",
    "smollm2-f16": "smollm2/SmolLM2-135M-Instruct.F16.gguf",
}


def read_torch(path):
    import torch

    def visit(item, name):
        """Tensors in nested containers; of an optimizer's state none, since it is no weights."""
        if isinstance(item, torch.Tensor):
            if item.is_floating_point():
                yield name, item.detach().float().numpy()
        elif isinstance(item, dict):
            for key, value in item.items():
                if not str(key).startswith("optimizer"):
                    yield from visit(value, f"{name}.{key}" if name else str(key))

    return dict(visit(torch.load(path, map_location="cpu", weights_only=True), ""))


def read_onnx(path):
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                found[attribute.t.name or node.output[0]] = attribute.t
    return {name: numpy_helper.to_array(tensor) for name, tensor in found.items()}


def read_npz(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def read_hdf5(path):
    import h5py

    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def read_gguf(path):
    from gguf import GGUFReader

    # GGUF lists the innermost dimension first; the arrays come as rows of it.
    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


READERS = {
    ".safetensors": tensors.read,
    ".pth": read_torch,
    ".pt": read_torch,
    ".onnx": read_onnx,
    ".npz": read_npz,
    ".hdf5": read_hdf5,
    ".gguf": read_gguf,
}


def gaussian():
    """Independent weights of the standard normal distribution."""
    return {"weight": np.random.default_rng(4).standard_normal((4096, 4096), dtype=np.float32)}


def weights(name, models):
    """The tensors of a source that are packed, as float32."""
    if name == GAUSSIAN:
        return gaussian()
    path = models / FILES[name]
    arrays = READERS[path.suffix](path)
    return {
        key: np.ascontiguousarray(array, "<f4")
        for key, array in arrays.items()
        if array.dtype.kind == "f" and array.ndim >= 2 and array.size >= LEAST_ELEMENTS
    }


def convert(name, models, folder):
    """Files of a source as float32 and bfloat16, made if they are missing."""
    paths = {kind: folder / kind / f"{name}.safetensors" for kind in ("f32", "bf16")}
    if not all(path.exists() for path in paths.values()):
        print(f"{name}: converting", file=sys.stderr, flush=True)
        arrays = weights(name, models)
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        tensors.write(paths["f32"], arrays)
        tensors.write(paths["bf16"], {key: tensors.to_bfloat16(array) for key, array in arrays.items()})
    return paths
