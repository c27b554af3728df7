"""Running the wcodec program, and the one place that knows the fields of its JSON report."""

import collections
import json
import os
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WCODEC") or str(REPOSITORY / ".build/release/wcodec")

# What each form of media is packed with when no codec is named.
MEDIA = {"image": "PNG", "video": "UtVideo", "audio": "FLAC"}

# One packed tensor: weights counted, bytes before packing; stream and entropy of the bins in bits for each weight.
Layer = collections.namedtuple("Layer", "name weights bytes stream_bits entropy")


def run(*arguments):
    """Standard output of wcodec; ends the program with wcodec's own message if it fails."""
    command = [PROGRAM, *map(str, arguments)]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"{PROGRAM}: {error.strerror.lower()}; run swift build -c release --product wcodec, or set WCODEC")
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {result.returncode}\n{result.stderr.strip()}")
    return result.stdout


def layers(packed):
    """The packed tensors of a file, as its report lists them."""
    report = json.loads(run("report", packed, "--json"))
    fields = ("name", "weights", "originalBytes", "streamBits", "entropy")
    return [Layer(*(layer[field] for field in fields)) for layer in report["layers"]]
