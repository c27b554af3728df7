"""Writes the GGUF files beside this script, and expected_gguf.json with what is in them.

Needs gguf 0.19 (gguf-py); run it as `python3 make_gguf_fixtures.py`. The files are committed, so that tests do not need it.
"""

import json
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value

HERE = pathlib.Path(__file__).parent
expected = {}


def describe(name, array, dtype, packable):
    return {"name": name, "dtype": dtype, "shape": list(array.shape), "packable": packable, "values": array.tobytes().hex(), "kind": None}


def metadata(writer):
    """A value of each type, and arrays of fixed and varying size, nested ones too."""
    scalars = [(Value.UINT8, 200), (Value.INT8, -3), (Value.UINT16, 60000), (Value.INT16, -300), (Value.UINT32, 4000000000),
               (Value.INT32, -70000), (Value.FLOAT32, 0.5), (Value.BOOL, True), (Value.STRING, "ü {\"a\": 1}"),
               (Value.UINT64, 1 << 40), (Value.INT64, -(1 << 40)), (Value.FLOAT64, 0.1)]
    for type, value in scalars:
        writer.add_key_value(f"test.{type.name.lower()}", value, type)
    writer.add_array("test.strings", ["a", "", "long " * 9])
    writer.add_array("test.integers", list(range(7)))
    writer.add_key_value("test.nested", [["a", "b"], ["c"]], Value.ARRAY, Value.ARRAY)


def save(file, alignment=None, endian=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(HERE / file, "test", endianess=endian)
    if alignment:
        writer.add_custom_alignment(alignment)
    metadata(writer)
    random = np.random.default_rng(1)
    tensors = []
    for name, shape, kind in [("token_embd.weight", (3, 4), np.float32), ("blk.0.attn_q.weight", (4, 2, 3), np.float16),
                              ("output_norm.weight", (5,), np.float64), ("positions", (2, 3), np.int32), ("scalar", (1,), np.float32)]:
        value = (random.standard_normal(shape) * 4).astype(kind)
        writer.add_tensor(name, value)
        dtype = {"f": "F", "i": "I"}[value.dtype.kind] + str(value.dtype.itemsize * 8)
        tensors.append(describe(name, value, dtype, value.dtype.kind == "f"))
    brain = random.standard_normal((2, 4)).astype(np.float32).view(np.uint32) >> 16
    writer.add_tensor("brain", brain.astype(np.uint16).view(np.uint8), raw_dtype=Type.BF16)
    tensors.append(describe("brain", brain.astype(np.uint16), "BF16", True))
    for type in (Type.Q4_0, Type.Q8_0, Type.Q4_K, Type.TQ1_0, Type.MXFP4):
        blocks, size = gguf.GGML_QUANT_SIZES[type]
        data = random.integers(0, 256, (2, size), np.uint8)
        writer.add_tensor(f"blocks.{type.name}", data, raw_dtype=type)
        tensors.append({**describe(f"blocks.{type.name}", data, type.name, False), "shape": [2, blocks]})
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if endian == gguf.GGUFEndian.LITTLE:
        check(file, tensors)
        expected[file] = tensors


def check(file, tensors):
    read = gguf.GGUFReader(HERE / file)
    assert [t.name for t in read.tensors] == [t["name"] for t in tensors]
    assert [t.data.tobytes().hex() for t in read.tensors] == [t["values"] for t in tensors]


def save_split(folder):
    (HERE / folder).mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(HERE / folder / "model.gguf", "test", split_max_tensors=2)
    metadata(writer)
    random = np.random.default_rng(2)
    tensors = []
    for i in range(5):
        value = random.standard_normal((2, i + 1)).astype(np.float16)
        writer.add_tensor(f"blk.{i}.weight", value)
        tensors.append(describe(f"blk.{i}.weight", value, "F16", True))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expected[f"{folder}/model-00001-of-00003.gguf"] = tensors


def main():
    save("mixed.gguf", alignment=64)
    save("big_endian.gguf", endian=gguf.GGUFEndian.BIG)
    save("version2.gguf")
    # Version 3 added big-endian files and changed nothing else.
    data = bytearray((HERE / "version2.gguf").read_bytes())
    data[4] = 2
    (HERE / "version2.gguf").write_bytes(data)
    check("version2.gguf", expected["version2.gguf"])
    save_split("split_gguf")
    (HERE / "expected_gguf.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
