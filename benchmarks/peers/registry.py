"""The programs that wcodec is compared with, by name. Each imports its library when it is used."""

import lossless
import lossy
import nnc

LOSSY = {
    "nncodec": nnc.NNCodec(),
    "nncodec, lambda": nnc.NNCodec(lagrangian=0.5),
    "sz3": lossy.SZ3(),
    "zfp": lossy.ZFP(),
    "gguf": lossy.GGUF(),
}
LOSSLESS = {
    "zipnn": lossless.ZipNN(),
    "openzl": lossless.OpenZL(),
    "lmzip": lossless.LMZip(),
    "zstd -3": lossless.Zstd(3),
    "zstd -19": lossless.Zstd(19),
    "blosc2": lossless.Blosc(),
}
PEERS = {**LOSSY, **LOSSLESS}
