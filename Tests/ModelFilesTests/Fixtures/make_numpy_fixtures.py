"""Writes the NumPy files beside this script, and expected_numpy.json with what is in them.

Needs numpy 2.4.6; run it as `python3 make_numpy_fixtures.py`. The files are committed, so that tests do not need it.
"""

import io
import json
import pathlib
import zipfile

import numpy as np

HERE = pathlib.Path(__file__).parent
NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL", "complex64": "C64",
    "complex128": "C128",
}
random = np.random.default_rng(20)
expected = {}


def describe(name, array):
    """One array as the tests expect it: values row-major in hex."""
    dtype = NAMES[array.dtype.name]
    return {
        "name": name, "dtype": dtype, "shape": list(array.shape), "packable": dtype in ("F64", "F32", "F16"),
        "values": np.ascontiguousarray(array).tobytes().hex(), "kind": None,
    }


def normal(*shape):
    return random.standard_normal(shape)


def save_array(file, array, version=None):
    with open(HERE / file, "wb") as stream:
        np.lib.format.write_array(stream, array, version)
    expected[file] = [describe("array", array)]


save_array("array_f4.npy", normal(5, 7).astype("<f4"))
save_array("array_fortran.npy", np.asfortranarray(normal(3, 4, 5).astype("<f8")))
save_array("array_version2.npy", normal(4, 6).astype("<f2"), (2, 0))
save_array("array_version3.npy", normal(9).astype("<f4"), (3, 0))
save_array("array_scalar.npy", np.array(2.5, "<f4"))
save_array("array_int.npy", np.arange(12, dtype="<i8").reshape(3, 4))

arrays = {
    "layer1/kernel": normal(6, 8).astype("<f4"), "fortran": np.asfortranarray(normal(5, 6).astype("<f4")),
    "half": normal(4, 4).astype("<f2"), "double": normal(4, 3).astype("<f8"), "empty": np.zeros((3, 0), "<f4"),
    "scalar": np.array(1.5), "mask": random.random(10) < 0.5, "bytes": np.arange(5, dtype=np.uint8),
    "signed": np.arange(-3, 3, dtype=np.int8), "ids": np.arange(7, dtype=np.int32), "wide": np.arange(4, dtype=np.uint64),
    "words": np.arange(3, dtype=np.uint16), "complex": (normal(2, 2) + 1j).astype(np.complex64),
    "complex2": (normal(3) - 2j),
}
# What stays as it is.
others = {
    "big": normal(2, 3).astype(">f4"), "text": np.array(["one", "two"]), "objects": np.array([{"a": 1}, None]),
    "structured": np.zeros(2, [("x", "<f4"), ("y", "<i2", (2,))]), "dates": np.array(["2020-01-01"], "M8[D]"),
}
for file, save in (("arrays.npz", np.savez), ("arrays_compressed.npz", np.savez_compressed)):
    save(HERE / file, **arrays, **others)
    expected[file] = [describe(name, array) for name, array in arrays.items()]


def entry(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


class Pipe(io.RawIOBase):
    """A stream that cannot be sought in: zipfile then writes data descriptors."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)

    def close(self):
        self.file.close()
        super().close()


# Every record that the recoding must not touch: comments, extra fields, attributes, data descriptors, mixed methods.
mixed = {"a": normal(16, 12).astype("<f4"), "b": normal(8, 6).astype("<f4"), "c": normal(6).astype("<f4")}
with Pipe(HERE / "mixed_descriptors.npz") as pipe, zipfile.ZipFile(pipe, "w") as archive:
    archive.comment = b"trained on a Tuesday"
    for (name, array), method in zip(mixed.items(), (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)):
        info = zipfile.ZipInfo(f"{name}.npy", (2021, 3, 4, 5, 6, 8))
        info.compress_type = method
        info.external_attr = 0o640 << 16
        info.comment = f"comment of {name}".encode()
        info.extra = b"\x99\x99\x04\x00abcd"
        archive.writestr(info, entry(array))
    archive.writestr(zipfile.ZipInfo("README.txt", (2021, 3, 4, 5, 6, 8)), "not an array " * 20, zipfile.ZIP_DEFLATED)
expected["mixed_descriptors.npz"] = [describe(name, array) for name, array in mixed.items()]

# The other methods that NumPy reads.
methods = {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA, "deflate": zipfile.ZIP_DEFLATED, "stored": zipfile.ZIP_STORED}
with zipfile.ZipFile(HERE / "compressed_otherwise.npz", "w") as archive:
    for name, method in methods.items():
        array = normal(12, 8).astype("<f4")
        archive.writestr(zipfile.ZipInfo(f"{name}.npy", (2021, 3, 4, 5, 6, 8)), entry(array), method)
        expected.setdefault("compressed_otherwise.npz", []).append(describe(name, array))

(HERE / "expected_numpy.json").write_text(json.dumps(expected, indent=1) + "\n")
