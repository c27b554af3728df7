"""Writes the small model files beside this script, and expected.json with what is in them.

Needs torch and safetensors; run it as `python3 make_fixtures.py`. The files are committed, so that tests need neither.
"""

import argparse
import json
import pathlib
import pickle
import struct
import warnings

import torch
from safetensors.torch import save_file
from torch import nn

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.int64: "I64", torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.uint16: "U16", torch.bool: "BOOL", torch.complex64: "C64",
}
expected = {}


def without_source(*_):
    """The old format carries the source code of a module's class when it can be found; here it would only be ballast."""
    raise OSError


torch.serialization.get_source_lines_and_file = without_source


def describe(name, tensor, kind=None, packable=True):
    """One tensor as the tests expect it: values row-major in hex, or None for those that do not fill their extent."""
    tensor = tensor.detach()
    dense = packable and tensor.dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    flat = tensor.resolve_neg().contiguous().reshape(-1)
    data = bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""
    return {
        "name": name, "dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "packable": dense,
        "values": data.hex() if packable else None, "kind": kind,
    }


def flatten(value, prefix=""):
    """The tensors of nested dictionaries and lists under dotted names."""
    if isinstance(value, torch.Tensor):
        return [(prefix, value)]
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return []
    return [pair for key, item in items for pair in flatten(item, f"{prefix}.{key}" if prefix else str(key))]


def save(file, value, tensors=None, **options):
    torch.save(value, HERE / file, **options)
    expected[file] = tensors or [describe(name, tensor) for name, tensor in flatten(value)]


class Network(nn.Sequential):
    """A network of every kind of layer."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4), nn.LSTM(3, 2, bidirectional=True),
            nn.GRU(3, 2), nn.Linear(4, 3), nn.Embedding(5, 2),
        )


KINDS = {"0": "conv", "1": "depthwise", "3": "lstm", "4": "gru", "5": "fc", "6": "embedding"}


def checkpoint():
    """A training checkpoint: weights, optimizer, and objects of classes that a reader need not know."""
    torch.manual_seed(1)
    model = nn.ModuleDict({"conv": nn.Conv2d(1, 2, 3), "lstm": nn.LSTM(2, 2)})
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return {
        "arguments": argparse.Namespace(rate=0.1, path=pathlib.PurePosixPath("runs")),
        "model_state": model.state_dict(), "optimizer_state": optimizer.state_dict(), "epoch": 3,
        "seen": {1, 2}, "big": 1 << 70, "bytes": b"abc", "losses": [0.5, 0.25],
    }


def views():
    """Tensors that share, transpose, skip and repeat memory."""
    torch.manual_seed(2)
    base = torch.randn(4, 6)
    conv = torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last)
    tied = torch.randn(3, 5)
    packed = {
        "base": base, "transposed": base.t(), "rows": base[1:3], "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "channels_last": conv, "pointwise": torch.randn(4, 3, 1, 1).to(memory_format=torch.channels_last),
        "encoder": tied, "decoder": tied, "parameter": nn.Parameter(torch.randn(2, 2)),
        "scalar": torch.tensor(1.5), "empty": torch.empty(0, 3), "one": torch.randn(1),
    }
    kept = {"columns": base[:, ::2], "expanded": torch.randn(2, 1).expand(2, 3), "window": base[:2, :3],
            "negated": torch._neg_view(torch.randn(3))}
    return {**packed, "kept": kept}, [describe(n, t) for n, t in packed.items()] + [
        describe(f"kept.{n}", t, packable=False) for n, t in kept.items()]


def dtypes():
    torch.manual_seed(3)
    value = torch.randn(2, 3)
    floats = [value.to(t) for t in (torch.float64, torch.float32, torch.float16, torch.bfloat16)]
    integers = [(value * 9).to(t) for t in (torch.int64, torch.int32, torch.int16, torch.int8, torch.bool, torch.complex64)]
    return {"floats": floats, "integers": tuple(integers), "bytes": value.abs().to(torch.uint8)}


def newer_dtypes():
    value = torch.arange(6).reshape(2, 3)
    return {"e4m3": value.to(torch.float8_e4m3fn), "e5m2": value.to(torch.float8_e5m2), "u16": value.to(torch.uint16)}


def save_storage_views(file):
    """The oldest form of sharing: a storage that is itself a window on another. PyTorch reads it and no longer writes it."""
    root = torch.arange(12, dtype=torch.float32) / 8

    class Rebuild:
        def __init__(self, *arguments):
            self.arguments = arguments

        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, self.arguments

    class Window:
        def __init__(self, *window):
            self.window = window

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Window):
                return ("storage", torch.FloatStorage, "77", "cpu", 12, value.window or None)
            return None

    with open(HERE / file, "wb") as out:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
            pickle.dump(header, out, protocol=2)
        Pickler(out, protocol=2).dump({
            "whole": Rebuild(Window(), 0, (3, 4), (4, 1), False, {}),
            "window": Rebuild(Window("78", 4, 6), 1, (2, 2), (2, 1), False, {})})
        pickle.dump(["77"], out, protocol=2)
        out.write(struct.pack("<q", 12) + bytes(root.view(torch.uint8).tolist()))
    loaded = torch.load(HERE / file)
    assert loaded["window"].equal(root[5:9].reshape(2, 2))
    expected[file] = [describe(name, tensor) for name, tensor in loaded.items()]


def main():
    for prefix, options in (("zip", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        save(f"{prefix}_checkpoint.pt", checkpoint(), **options)
        value, tensors = views()
        save(f"{prefix}_views.pt", value, tensors, **options)
        save(f"{prefix}_dtypes.pt", dtypes(), **options)
        for protocol in (3, 4, 5):
            save(f"{prefix}_protocol{protocol}.pt", {"a": {"b": torch.arange(6.0).reshape(2, 3)}}, pickle_protocol=protocol, **options)
        torch.manual_seed(4)
        network = Network()
        tensors = [
            describe(name, tensor, KINDS.get(name.split(".")[0]) if tensor.dim() > 1 else None)
            for name, tensor in network.state_dict().items()]
        save(f"{prefix}_module.pt", network, tensors, **options)
        save(f"{prefix}_tensor.pt", torch.arange(4.0), [describe("tensor", torch.arange(4.0))], **options)
    save("zip_newer_dtypes.pt", newer_dtypes())
    save_storage_views("legacy_storage_views.pt")

    torch.manual_seed(5)
    tensors = {
        "fc.weight": torch.randn(3, 4), "fc.bias": torch.randn(3), "half": torch.randn(2, 2).half(),
        "brain": torch.randn(2, 3).bfloat16(), "double": torch.randn(2).double(), "count": torch.tensor(7),
        "empty": torch.empty(0, 2), "eighth": torch.randn(4).to(torch.float8_e4m3fn), "mask": torch.tensor([True, False]),
    }
    save_file(tensors, HERE / "single.safetensors", metadata={"format": "pt", "note": "ü: {\"a\": 1}"})
    expected["single.safetensors"] = [describe(name, tensor) for name, tensor in tensors.items()]

    folder = HERE / "sharded"
    folder.mkdir(exist_ok=True)
    shards = {"model-00001-of-00002.safetensors": ["fc.weight", "half"], "model-00002-of-00002.safetensors": ["fc.bias", "count"]}
    for shard, names in shards.items():
        save_file({name: tensors[name] for name in names}, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 76}, "weight_map": {name: shard for shard, names in shards.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    expected["sharded/model.safetensors.index.json"] = [
        describe(name, tensors[name]) for names in shards.values() for name in names]

    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
