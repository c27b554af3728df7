"""wcodec beside its peers: packing as whole commands, each a process of its own; decoding as `unpack --check` measures it."""

import collections
import json
import math
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
# Points on large models where all of them would take hours.
FEWER = {
    ("minilm", "wcodec, effort 9, auto"): (2, 4),
    ("astra", "wcodec, effort 9"): (2, 4),
    ("astra", "wcodec, effort 9, auto"): (),
}
QUIETLY = ["--threads", "1", "--force", "--quiet"]


def points(name, source):
    """The targets at which a variant of `LOSSY` is measured on a source."""
    variant = LOSSY[name]
    return variant.gaussian if source == sources.GAUSSIAN else FEWER.get((source, name), variant.points)


def alone():
    """Keeps this process to one processor."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(*arguments):
    """Standard output, processor time in seconds and peak memory in bytes of one wcodec command."""
    command = [wcodec.PROGRAM, *map(str, arguments)]
    # What is wrong fits a pipe: one line.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=alone)
    output = process.stdout.read().decode()
    message = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}\n{message.strip()}")
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def best(*arguments):
    """Least processor time in seconds of some runs of one command, and its memory in bytes."""
    results = [run(*arguments)[1:]]
    while not worker.is_enough([seconds for seconds, _ in results]):
        results.append(run(*arguments)[1:])
    return min(results)


def decoding(packed):
    """Least processor time in seconds of some runs that open and decode a packed file and check every hash.

    All in one process, and nothing is written: as the peers are measured.
    """

    def seconds(runs):
        output = run("unpack", packed, "--check", "--threads", 1, "--runs", runs, "--json")[0]
        return [one["processorSeconds"] for one in json.loads(output)["runs"]]

    times = seconds(1)
    if not worker.is_enough(times):
        times = seconds(min(max(math.ceil(worker.ENOUGH / times[0]), worker.RUNS), worker.MOST))
    return min(times)


def measure(variant, path, point):
    """Packs and unpacks a file, and compares; `checked` says that decoding is measured by `decoding`."""
    arrays = tensors.read(path)
    target = [variant.target, point] if variant.target else []
    with tempfile.TemporaryDirectory(prefix="wcodec-rate-") as folder:
        packed, restored = pathlib.Path(folder) / "packed.wcz", pathlib.Path(folder) / "restored.safetensors"
        encoding, encoder_memory = best("pack", path, "-o", packed, *variant.options, *target, *QUIETLY)
        _, _, decoder_memory = run("unpack", packed, "-o", restored, *QUIETLY)
        result = {
            "weights": sum(array.size for array in arrays.values()),
            "original": path.stat().st_size,
            "bytes": packed.stat().st_size,
            "encode_seconds": encoding,
            "decode_seconds": decoding(packed),
            "checked": True,
            "encode_memory": encoder_memory,
            "decode_memory": decoder_memory,
        }
        if variant.target:
            result["squared_error"], result["energy"] = worker.squared_error(arrays, tensors.read(restored))
        elif restored.read_bytes() != path.read_bytes():
            sys.exit(f"{path}: wcodec: expected the file's bytes back, found others")
    return result
