"""Writes the HDF5 and Keras files beside this script, and expected_hdf5.json with what is in them.

Needs h5py 3.16.0 and numpy 2.4.6; run it as `python3 make_hdf5_fixtures.py`. The files are committed, so that tests do not
need it. The Keras files have the groups, names and attributes that Keras 2.1 and Keras 3 write.
"""

import io
import json
import pathlib
import zipfile

import h5py
import numpy as np

HERE = pathlib.Path(__file__).parent
NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
}
random = np.random.default_rng(30)
expected = {}


def normal(*shape, dtype="<f4"):
    return random.standard_normal(shape).astype(dtype)


def describe(name, array, kind=None):
    """One dataset as the tests expect it: values row-major in hex."""
    dtype = NAMES[array.dtype.name]
    return {
        "name": name, "dtype": dtype, "shape": list(array.shape), "packable": dtype in ("F64", "F32", "F16"),
        "values": array.tobytes().hex(), "kind": kind,
    }


def contents(group, kinds={}, skipped=()):
    """Every dataset under every name, in the order of names."""
    found = []
    for name in sorted(group):
        item = group[name]
        path = item.name if group.name == "/" else f"{group.name}/{name}"
        if isinstance(item, h5py.Group):
            found += contents(item, kinds, skipped)
        elif path.lstrip("/") not in skipped:
            found.append(describe(path.lstrip("/"), item[()], kinds.get(path.lstrip("/"))))
    return found


def write(file, fill, kinds={}, skipped=(), **options):
    with h5py.File(HERE / file, "w", **options) as root:
        fill(root)
    with h5py.File(HERE / file) as root:
        expected[file] = contents(root, kinds, skipped)


def plain(root):
    for dtype in ("<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "<i1", "<u8", "<u4", "<u2", "<u1"):
        root[f"types/{dtype[1:]}"] = normal(3, 4, dtype="<f8").astype(dtype)
    root["scalar"] = np.float32(2.5)
    root["tied/a"] = normal(4, 5)
    root["tied/b"] = root["tied/a"]
    root["empty"] = np.zeros((0, 3), "<f4")
    root["loop/up"] = root["/"]["tied"]
    root["loop"].attrs["note"] = "attributes stay"
    # What stays as it is, or is not followed.
    root["big"] = normal(2, 2, dtype=">f4")
    root["text"] = "a string"
    root["mask"] = np.array([True, False])
    root.create_dataset("unwritten", (3, 3), "<f4")
    root["soft"] = h5py.SoftLink("/tied/a")
    root["external"] = h5py.ExternalLink("other.h5", "/w")
    root["loop/root"] = h5py.SoftLink("/")


def chunked(root):
    root.create_dataset("even", data=normal(32, 16), chunks=(8, 8), compression="gzip", shuffle=True)
    root.create_dataset("edges", data=normal(21, 13), chunks=(8, 5), compression="gzip", fletcher32=True)
    root.create_dataset("plain", data=normal(10, 7, dtype="<f8"), chunks=(4, 7), maxshape=(None, 7))
    root.create_dataset("half", data=normal(6, 4, 5, dtype="<f2"), chunks=(5, 3, 2), compression="gzip")
    root.create_dataset("contiguous", data=normal(6, 6))
    root["again"] = root["edges"]
    root.attrs["note"] = "attributes stay"
    # What stays as it is: integers, a filter of h5py's own, one that loses bits, chunks that were never written.
    root.create_dataset("ids", data=np.arange(40), chunks=(10,), compression="gzip")
    root.create_dataset("lzf", data=normal(8, 8), chunks=(4, 4), compression="lzf")
    root.create_dataset("rounded", data=normal(8, 8), chunks=(4, 4), scaleoffset=3)
    sparse = root.create_dataset("sparse", (64, 4), "<f4", chunks=(8, 4))
    sparse[:8] = 1


def keras2(root):
    """What `model.save` of Keras 2 writes: configuration in attributes, weights by layer, the optimizer's state."""
    root.attrs["keras_version"] = "2.1.5"
    root.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
    weights = root.create_group("model_weights")
    layers = {
        "embedding": {"embeddings": (10, 8)}, "lstm": {"kernel": (8, 16), "recurrent_kernel": (4, 16), "bias": (16,)},
        "gru": {"kernel": (4, 18), "recurrent_kernel": (6, 18), "bias": (18,)},
        "conv2d": {"kernel": (3, 3, 2, 4), "bias": (4,)}, "depthwise_conv2d": {"depthwise_kernel": (3, 3, 4, 1)},
        "dense": {"kernel": (12, 6), "bias": (6,)},
    }
    weights.attrs["layer_names"] = [name.encode() for name in layers]
    for name, variables in layers.items():
        group = weights.create_group(name)
        group.attrs["weight_names"] = [f"{name}/{variable}:0".encode() for variable in variables]
        for variable, shape in variables.items():
            group[f"{name}/{variable}:0"] = normal(*shape)
    root["optimizer_weights/Adam/dense/kernel/m:0"] = normal(12, 6)


KERAS3 = {
    "layers/embedding/vars/0": ((10, 8), "embedding"), "layers/lstm/cell/vars/0": ((8, 16), "lstm"),
    "layers/lstm/cell/vars/1": ((4, 16), "lstm"), "layers/lstm/cell/vars/2": ((16,), None),
    "layers/bidirectional/forward_layer/cell/vars/1": ((6, 18), "gru"), "layers/conv2d/vars/0": ((3, 3, 2, 4), "conv"),
    "layers/conv2d_1/vars/0": ((3, 3, 4, 2), "conv"), "layers/depthwise_conv2d/vars/0": ((3, 3, 4, 1), "depthwise"),
    "layers/dense_12/vars/0": ((12, 6), "fc"), "layers/dense_12/vars/1": ((6,), None),
    "optimizer/vars/2": ((12, 6), None),
}


def keras3(root):
    for path, (shape, _) in KERAS3.items():
        root[path] = normal(*shape)


plain_skipped = ("big", "text", "mask", "unwritten", "soft", "external", "loop/root")
chunked_skipped = ("ids", "lzf", "rounded", "sparse")
for file, options in (("hdf5_plain.h5", {}), ("hdf5_latest.h5", {"libver": ("v110", "v110")}),
                      ("hdf5_user_block.h5", {"userblock_size": 1024})):
    with h5py.File(HERE / file, "w", **options) as root:
        plain(root)
    with h5py.File(HERE / file, "a") as root:
        for name in plain_skipped:
            if name in ("soft", "external", "loop/root"):
                del root[name]
        found = contents(root, skipped=plain_skipped)
        # `loop/up` is the group `tied` again, which is entered once, under the name that comes first.
        expected[file] = [
            entry | {"name": entry["name"].replace("tied/", "loop/up/")} if entry["name"].startswith("tied/") else entry
            for entry in found if not entry["name"].startswith("loop/up/")]
        root["soft"] = h5py.SoftLink("/tied/a")
        root["external"] = h5py.ExternalLink("other.h5", "/w")
        root["loop/root"] = h5py.SoftLink("/")
with open(HERE / "hdf5_user_block.h5", "r+b") as stream:
    stream.write(b"another program's block")
for file, options in (("hdf5_chunked.h5", {}), ("hdf5_chunked_latest.h5", {"libver": ("v110", "v110")})):
    write(file, chunked, skipped=chunked_skipped, **options)
write("keras2.h5", keras2)
write("keras3.weights.h5", keras3, {path: kind for path, (_, kind) in KERAS3.items()})

stream = (HERE / "keras3.weights.h5").read_bytes()
for file, method in (("keras3.keras", zipfile.ZIP_STORED), ("keras3_compressed.keras", zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile(HERE / file, "w", method) as archive:
        for name, data in (("metadata.json", json.dumps({"keras_version": "3.11.0"})),
                           ("config.json", json.dumps({"class_name": "Sequential", "config": {}})),
                           ("model.weights.h5", stream)):
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10)), data, method)
    expected[file] = expected["keras3.weights.h5"]

(HERE / "expected_hdf5.json").write_text(json.dumps(expected, indent=1) + "\n")
