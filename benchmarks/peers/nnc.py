"""NNCodec, the reference implementation of ISO/IEC 15938-17, with dependent quantization."""

import sys
import unittest.mock

from lossy import Peer

# What its training tools import; coding needs none of it, so empty modules spare the download.
NEEDLESS = ["torchvision", "cv2", "sklearn", "sklearn.metrics", "pandas", "torchmetrics", "ptflops", "wandb"]


def library():
    for name in NEEDLESS:
        sys.modules.setdefault(name, unittest.mock.MagicMock())
    from nncodec import nnc

    return nnc


class NNCodec(Peer):
    """One step size for all tensors, which gives the least error of all for the bits; a setting is its QP.

    `lagrangian` is the scale of lambda in the trellis's cost. By default it is 0, which ignores the bits, and NNCodec's
    own interface offers no other; the function below that interface does.
    """

    package = "nncodec"
    is_discrete = True
    bits_per_setting = -0.25

    def __init__(self, lagrangian=0):
        self.lagrangian = lagrangian

    def setting(self, log_deviation, bits):
        """About the QP that takes this many bits a weight, given log2 of the weights' root mean square."""
        return round(4 * (log_deviation - bits + 1.4))

    def encode(self, arrays, setting):
        # What nncodec.nn.encode chooses; called below it, so that no file is written.
        return library().compress(
            dict(arrays),
            bitstream_path=None,
            qp=int(setting),
            use_dq=True,
            param_opt=True,
            row_skipping=True,
            lambda_scale=self.lagrangian,
            return_bitstream=True,
        )

    def decode(self, packed):
        return library().decompress(packed)

    def size(self, packed):
        return len(packed)
