"""What is in a model file, as its own framework reads it: the tensors' bytes, and everything else.

`read(path)` gives both. Frameworks are imported only for the formats that need them.
"""

import collections
import json
import struct
import zipfile

import numpy as np

# `tensors`: bytes by name, as they lie in the file. `rest`: whatever else the framework sees, comparable with ==.
Contents = collections.namedtuple("Contents", "tensors rest")


def read(path):
    """Contents of the model file `path`, whose extension says what it is."""
    return READERS[path.suffix](path)


def read_safetensors(path):
    from safetensors.numpy import load_file

    data = path.read_bytes()
    header = data[8 : 8 + struct.unpack_from("<Q", data)[0]]
    offsets = {name: entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"}
    start = 8 + len(header)
    loaded = load_file(path)
    tensors = {name: data[start + first : start + last] for name, (first, last) in offsets.items()}
    for name, value in loaded.items():
        assert value.tobytes() == tensors[name], f"{path}: {name}: the library reads other bytes than lie there"
    return Contents(tensors, header)


def bytes_of(tensor):
    """Bytes of a PyTorch tensor, in the order of its storage."""
    import torch

    size = tensor.nelement() * tensor.element_size()
    start = tensor.storage_offset() * tensor.element_size()
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage(), start, (size,)).numpy().tobytes()


def read_torch(path):
    import torch

    tensors = {}

    def describe(name, item):
        """What `item` holds, with a description in place of each tensor."""
        if isinstance(item, torch.Tensor):
            shared, _ = tensors.setdefault((item.data_ptr(), item.nelement()), (name, bytes_of(item)))
            return (shared, str(item.dtype), item.shape, item.stride(), item.storage_offset(), item.requires_grad)
        if isinstance(item, dict):
            return {key: describe(f"{name}.{key}", value) for key, value in item.items()}, list(item)
        if isinstance(item, (list, tuple)):
            return type(item), [describe(f"{name}.{index}", value) for index, value in enumerate(item)]
        return item

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    rest = describe("", loaded)
    return Contents(dict(tensors.values()), rest)


def read_torchscript(path):
    import torch

    module = torch.jit.load(str(path), map_location="cpu")
    state = module.state_dict()
    tensors = {name: bytes_of(value) for name, value in state.items()}
    rest = [(name, str(value.dtype), value.shape, value.stride()) for name, value in state.items()]
    return Contents(tensors, (rest, module.inlined_graph.str()))


def read_onnx(path):
    import onnx

    onnx.checker.check_model(str(path))
    model = onnx.load(path)
    tensors = {}

    def take(tensor):
        """Moves the bytes of a tensor of the model out of it."""
        if tensor.raw_data:
            tensors[f"{len(tensors)} {tensor.name}"] = tensor.raw_data
            tensor.raw_data = b""
        elif tensor.float_data:
            tensors[f"{len(tensors)} {tensor.name}"] = np.array(tensor.float_data, "<f4").tobytes()
            del tensor.float_data[:]

    def visit(graph):
        for tensor in getattr(graph, "initializer", ()):
            take(tensor)
        for node in graph.node:
            for attribute in node.attribute:
                take(attribute.t)
                for tensor in attribute.tensors:
                    take(tensor)
                for inner in (attribute.g, *attribute.graphs):
                    visit(inner)

    visit(model.graph)
    for function in model.functions:
        visit(function)
    return Contents(tensors, model.SerializeToString(deterministic=True))


def read_npz(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    rest = [(name, str(array.dtype), array.shape, array.strides) for name, array in arrays.items()]
    return Contents({name: array.tobytes(order="A") for name, array in arrays.items()}, rest)


def read_hdf5(path):
    import h5py

    tensors, rest = {}, []

    def add(name, item):
        rest.append((name, sorted((key, repr(value)) for key, value in item.attrs.items())))
        if isinstance(item, h5py.Dataset):
            tensors[name] = item[()].tobytes()
            rest.append((item.dtype, item.shape, item.chunks, item.compression, item.fillvalue))

    with h5py.File(path) as file:
        add("/", file)
        file.visititems(add)
    return Contents(tensors, rest)


def read_gguf(path):
    from gguf import GGUFReader

    reader = GGUFReader(path)
    fields = [(name, field.offset, field.types, field.contents()) for name, field in reader.fields.items()]
    layout = [(tensor.name, tensor.tensor_type, tuple(tensor.shape), tensor.data_offset) for tensor in reader.tensors]
    return Contents({tensor.name: tensor.data.tobytes() for tensor in reader.tensors}, (fields, layout))


READERS = {
    ".safetensors": read_safetensors,
    ".pth": read_torch,
    ".pt": read_torch,
    ".jit": read_torchscript,
    ".onnx": read_onnx,
    ".npz": read_npz,
    ".hdf5": read_hdf5,
    ".gguf": read_gguf,
}


def payload(path):
    """Bytes of a file, or of all members of a ZIP file, and what else such a file says of its members."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes(), []
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        listing = [
            (member.filename, member.file_size, member.compress_type, member.date_time, member.flag_bits)
            + (member.external_attr, member.create_system, member.extra, member.comment)
            for member in members
        ]
        return b"".join(archive.read(member) for member in members), [archive.comment, *listing]
