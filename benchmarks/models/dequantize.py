#!/usr/bin/env python3
"""Write a GGUF file whose block-quantized tensors are float16 instead, all else being the same.

    dequantize.py SOURCE.gguf TARGET.gguf

wcodec keeps block-quantized tensors exactly, so a language model that ships so would not be judged at all. Needs gguf.
"""

import argparse

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, dequantize

WRITTEN_BY_THE_WRITER = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture"}
PLAIN = {GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16}


def copy_metadata(reader, writer):
    for name, field in reader.fields.items():
        if name in WRITTEN_BY_THE_WRITER:
            continue
        value = int(LlamaFileType.MOSTLY_F16) if name == "general.file_type" else field.contents()
        element = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=element)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    arguments = parser.parse_args()
    reader = GGUFReader(arguments.source)
    writer = GGUFWriter(arguments.target, arch=reader.fields["general.architecture"].contents())
    copy_metadata(reader, writer)
    for tensor in reader.tensors:
        if tensor.tensor_type in PLAIN:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
