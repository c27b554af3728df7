"""wcodec beside its peers: whole commands, each a process of its own, reading and writing files."""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile

import sources
import tensors
import wcodec
import worker

# `options` of pack besides the target, which is `target` (None: without loss) with one of `points` for the models and
# of `gaussian` for Gaussian noise; no points, not measured.
Variant = collections.namedtuple("Variant", "options target points gaussian")

POINTS = (2, 2.5, 3, 3.5, 4)  # bits for each weight
BARS = (2.1, 2.75, 3.8)  # those at which there are bars for Gaussian noise
LARGE = {"astra"}  # on which effort 9 takes hours: measured at few points, and without trying all media


def trellis(media, *options):
    """Points on models for image and auto, on Gaussian noise for all."""
    points = POINTS if media in ("image", "auto") else ()
    return Variant(["--as", media, "--quantizer", "trellis", *options], "--target-bpw", points, BARS)


FULL = ["--effort", "9"]
LOSSY = {
    "wcodec": trellis("image"),
    "wcodec, effort 9": trellis("image", *FULL),
    "wcodec, effort 9, auto": trellis("auto", *FULL),
    "wcodec, effort 9, video": trellis("video", *FULL),
    "wcodec, effort 9, audio": trellis("audio", *FULL),
    "wcodec, uniform": Variant(["--as", "image", "--range", "layer"], "--bits", (3, 4, 5), (3, 4, 5, 8)),
}
LOSSLESS = {
    "wcodec": Variant(["--lossless"], None, (), ()),
    "wcodec, effort 9": Variant(["--lossless", *FULL], None, (), ()),
}
QUIETLY = ["--threads", "1", "--force", "--quiet"]


def points(variant, source):
    """The targets at which a variant is measured on a source."""
    if variant.target is None:
        return (0,)
    if source in LARGE and FULL[0] in variant.options:
        return () if "auto" in variant.options else variant.points[::2]
    return variant.gaussian if source == sources.GAUSSIAN else variant.points


def alone():
    """Keeps this process to one processor."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(*arguments):
    """Processor time in seconds and peak memory in bytes of one wcodec command."""
    command = [wcodec.PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=alone)
    message = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}\n{message.strip()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def best(*arguments):
    """Least processor time in seconds of some runs of one command, and its memory in bytes."""
    results = [run(*arguments)]
    while not worker.is_enough([seconds for seconds, _ in results]):
        results.append(run(*arguments))
    return min(results)


def starting():
    """Processor time in seconds that the program takes to start and to do nothing."""
    return best("--version")[0]


def measure(variant, path, point):
    """Packs and unpacks a file, and compares."""
    arrays = tensors.read(path)
    target = [variant.target, point] if variant.target else []
    with tempfile.TemporaryDirectory(prefix="wcodec-rate-") as folder:
        packed, restored = pathlib.Path(folder) / "packed.wcz", pathlib.Path(folder) / "restored.safetensors"
        encoding, encoder_memory = best("pack", path, "-o", packed, *variant.options, *target, *QUIETLY)
        decoding, decoder_memory = best("unpack", packed, "-o", restored, *QUIETLY)
        result = {
            "weights": sum(array.size for array in arrays.values()),
            "original": path.stat().st_size,
            "bytes": packed.stat().st_size,
            "encode_seconds": encoding,
            "decode_seconds": decoding,
            "encode_memory": encoder_memory,
            "decode_memory": decoder_memory,
        }
        if variant.target:
            result["squared_error"], result["energy"] = worker.squared_error(arrays, tensors.read(restored))
        elif restored.read_bytes() != path.read_bytes():
            sys.exit(f"{path}: wcodec: expected the file's bytes back, found others")
    return result
