"""What packs weights or numbers in general with loss, apart from NNCodec."""

import importlib.metadata

import numpy as np


class Peer:
    """Packs arrays by name at a setting, a number. `all_settings` lists those of a peer that has few."""

    is_lossy = True
    is_discrete = False  # whether settings are whole numbers
    package = ""
    all_settings = ()

    def version(self):
        return importlib.metadata.version(self.package)

    def size(self, packed):
        """Bytes of the streams alone: names and shapes are left out, which favors the peer."""
        return sum(len(stream) for stream, _ in packed.values())


class SZ3(Peer):
    """One bound of the absolute error for all weights, which a setting is log2 of; without prediction: best here."""

    package = "pysz"
    bits_per_setting = -1

    def setting(self, log_deviation, bits):
        """About the setting that takes this many bits a weight, given log2 of the weights' root mean square."""
        return log_deviation - bits + 1.1

    def encode(self, arrays, setting):
        import pysz

        configuration = pysz.szConfig()
        configuration.errorBoundMode = pysz.szErrorBoundMode.ABS
        configuration.absErrorBound = 2**setting
        configuration.cmprAlgo = pysz.szAlgorithm.NOPRED
        return {
            name: (pysz.sz.compress(array.ravel(), configuration)[0], array.shape) for name, array in arrays.items()
        }

    def decode(self, packed):
        import pysz

        return {
            name: pysz.sz.decompress(stream, np.float32, (int(np.prod(shape)),))[0].reshape(shape)
            for name, (stream, shape) in packed.items()
        }


class ZFP(Peer):
    """One tolerance for all weights, which a setting is log2 of; zfp rounds it to a power of two."""

    package = "zfpy"
    is_discrete = True
    bits_per_setting = -1

    def setting(self, log_deviation, bits):
        """About the setting that takes this many bits a weight, given log2 of the weights' root mean square."""
        return round(log_deviation - bits + 5.5)

    def encode(self, arrays, setting):
        import zfpy

        return {
            name: (zfpy.compress_numpy(array.reshape(len(array), -1), tolerance=2**setting), array.shape)
            for name, array in arrays.items()
        }

    def decode(self, packed):
        import zfpy

        return {name: zfpy.decompress_numpy(stream).reshape(shape) for name, (stream, shape) in packed.items()}


class GGUF(Peer):
    """The quantizers of the gguf package of 5 bits or fewer; a setting is the number of its type."""

    package = "gguf"
    all_settings = {35: "TQ2_0", 39: "MXFP4", 2: "Q4_0", 3: "Q4_1"}
    BLOCK = 256  # a multiple of every type's; short rows are joined and the last block is filled

    def encode(self, arrays, setting):
        from gguf import GGMLQuantizationType, quants

        packed = {}
        for name, array in arrays.items():
            blocks = np.pad(array.ravel(), (0, -array.size % self.BLOCK)).reshape(-1, self.BLOCK)
            stream = quants.quantize(blocks, GGMLQuantizationType(int(setting)))
            packed[name] = stream.tobytes(), (int(setting), stream.shape, array.shape)
        return packed

    def decode(self, packed):
        from gguf import GGMLQuantizationType, quants

        restored = {}
        for name, (stream, (kind, rows, shape)) in packed.items():
            blocks = np.frombuffer(stream, np.uint8).reshape(rows)
            weights = quants.dequantize(blocks, GGMLQuantizationType(kind)).ravel()
            restored[name] = weights[: int(np.prod(shape))].reshape(shape)
        return restored
