"""What compresses weights without loss: tools made for them, and general ones at their best settings for them."""

import importlib.metadata
import os
import pathlib
import tempfile

import numpy as np

KINDS = {2: "bfloat16", 4: "float32"}  # by bytes of an element


class Peer:
    """Compresses a whole safetensors file; `package` is what is installed for it."""

    is_lossy = False
    package = ""

    def version(self):
        return importlib.metadata.version(self.package)

    def restored(self, decoded):
        """Bytes of the file that was decoded."""
        return bytes(decoded)


class ZipNN(Peer):
    package = "zipnn"

    def codec(self, kind):
        from zipnn import ZipNN as Codec

        return Codec(input_format="byte", bytearray_dtype=kind, threads=1)

    def encode(self, file):
        # It reorders the bits of its input in place.
        return file.kind, self.codec(file.kind).compress(bytearray(file.data))

    def decode(self, packed):
        kind, data = packed
        return self.codec(kind).decompress(data)

    def size(self, packed):
        return len(packed[1])


class OpenZL(Peer):
    """Exponents apart from signs and fractions, these by bytes, each as the smallest of what OpenZL has."""

    package = "openzl"

    def compressor(self, kind):
        import openzl.ext as openzl

        graphs, nodes = openzl.graphs, openzl.nodes
        compressor = openzl.Compressor()
        compressor.set_parameter(openzl.CParam.FormatVersion, openzl.MAX_FORMAT_VERSION)

        def best():
            choices = [graphs.Store(), graphs.Huffman(), graphs.Fse(), graphs.Zstd()]
            return graphs.BruteForce([choice(compressor) for choice in choices])(compressor)

        if kind == "bfloat16":
            start = nodes.BFloat16Deconstruct()(compressor, best(), best())
        else:
            fraction = nodes.TransposeSplit()(compressor, best())
            start = nodes.Float32Deconstruct()(compressor, fraction, best())
        compressor.select_starting_graph(start)
        return compressor

    def encode(self, file):
        import openzl.ext as openzl

        context, compressor = openzl.CCtx(), self.compressor(file.kind)
        frames = []
        for array in file.arrays.values():  # each for itself: their exponents differ
            context.ref_compressor(compressor)  # holds for one call only
            frames.append(context.compress([openzl.Input(openzl.Type.Numeric, array.ravel())]))
        return file.header, frames

    def decode(self, packed):
        import openzl.ext as openzl

        header, frames = packed
        context = openzl.DCtx()
        outputs = [context.decompress(frame)[0].content.as_nparray().tobytes() for frame in frames]
        return b"".join([header, *outputs])

    def size(self, packed):
        header, frames = packed
        return len(header) + sum(len(frame) for frame in frames)


class LMZip(Peer):
    """Works on files; these are in memory."""

    package = "lmzip"

    def __init__(self):
        shared = pathlib.Path("/dev/shm")
        self.folder = tempfile.TemporaryDirectory(prefix="wcodec-rate-", dir=shared if shared.is_dir() else None)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def encode(self, file):
        import lmz

        source, packed = self.path(file.path.name), self.path("packed.lmz")
        if not os.path.exists(source):
            os.symlink(file.path.resolve(), source)
        if os.path.exists(packed):
            os.unlink(packed)
        lmz.compress(source, packed, workers=1)
        return packed

    def decode(self, packed):
        import lmz

        restored = self.path("restored")
        if os.path.exists(restored):
            os.unlink(restored)
        lmz.decompress(packed, restored, workers=1)
        return restored

    def restored(self, decoded):
        return pathlib.Path(decoded).read_bytes()

    def size(self, packed):
        return os.path.getsize(packed)


class Zstd(Peer):
    package = "zstandard"

    def __init__(self, level):
        self.level = level

    def encode(self, file):
        import zstandard

        return zstandard.ZstdCompressor(level=self.level).compress(file.data)

    def decode(self, packed):
        import zstandard

        return zstandard.ZstdDecompressor().decompress(packed)

    def size(self, packed):
        return len(packed)


class Blosc(Peer):
    """Bytes of equal significance together, compressed by zstd."""

    package = "blosc2"
    PART = 1 << 26  # bytes; it takes at most 2 GiB at once

    def encode(self, file):
        import blosc2

        blosc2.set_nthreads(1)
        settings = {"codec": blosc2.Codec.ZSTD, "clevel": 9, "filters": [blosc2.Filter.SHUFFLE]}
        data = np.frombuffer(file.data, np.uint8)
        parts = [data[start : start + self.PART] for start in range(0, data.size, self.PART)]
        return [blosc2.compress2(part, typesize=file.width, nthreads=1, **settings) for part in parts]

    def decode(self, packed):
        import blosc2

        return b"".join(blosc2.decompress2(frame, nthreads=1) for frame in packed)

    def size(self, packed):
        return sum(len(frame) for frame in packed)


class File:
    """A safetensors file as its bytes, its header and its arrays."""

    def __init__(self, path, arrays):
        self.path = path
        self.arrays = arrays
        self.data = path.read_bytes()
        self.width = next(iter(arrays.values())).itemsize
        self.kind = KINDS[self.width]
        self.header = self.data[: len(self.data) - sum(array.nbytes for array in arrays.values())]
