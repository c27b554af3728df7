#!/usr/bin/env python3
"""Pack real models in each form of media and back, and check that the restored files are as good as the originals.

    round_trip.py [MODEL ...]

For each file that a model ships as, and each form of media: the restored file loads in its own framework; tensors
besides those packed, and every byte outside tensors, are as they were; what the network puts out on real inputs is
within the model's tolerance of what the original does (relative L2 error); and its metrics change by at most 1 %.
Prints a table; exit status 1 if anything is otherwise. `scripts/test-models` runs this with all that it needs.
"""

import argparse
import collections
import hashlib
import pathlib
import sys
import tempfile

import catalog
import contents
import evaluation
import fetched
import sameness
import table
import wcodec

LARGEST_CHANGE = 0.01

# Other files that a model ships as, judged by the same evaluation.
ALSO = {
    "silero-onnx": [
        "silero/silero_vad.onnx",  # weights in the branches of an If
        "silero/silero_vad_half.onnx",  # float16
        "silero/silero_vad_op18_ifless.onnx",  # both sampling rates, by Where
    ],
    "minilm": ["minilm/directory"],
}
COLUMNS = ["model", "file", "as", "packed", "ratio", "layers", "output error", "metric", "before", "after", "result"]
# What is also unpacked into another format.
CONVERSIONS = {"minilm": "npz", "g2p": "safetensors"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", metavar="MODEL", nargs="*", help="such as silero; default: all")
    arguments = parser.parse_args()
    rows, failed = [], False
    for model in catalog.chosen(arguments.models):
        for name in [model.file, *ALSO.get(model.name, [])]:
            with tempfile.TemporaryDirectory(prefix="wcodec-round-trip-") as folder:
                for row, faults in attempts(model, fetched.MODELS / name, pathlib.Path(folder)):
                    rows.append([*row, "ok" if not faults else "; ".join(faults)])
                    failed |= bool(faults)
                    print(" ".join([*row, *faults]), file=sys.stderr, flush=True)
    print(table.markdown(COLUMNS, rows), end="")
    sys.exit(1 if failed else 0)


def attempts(model, original, folder):
    """The round trips of a file; one that breaks off is a fault, and the next file is tried."""
    try:
        yield from round_trips(model, original, folder)
    except (Exception, SystemExit) as error:
        yield [model.name, original.name, *[""] * (len(COLUMNS) - 3)], [" ".join(str(error).split())]


def round_trips(model, original, folder):
    """Rows of the table, and what is wrong in each: one for each form of media, one for the conversion, if any."""
    outputs = folder / "outputs.npy"
    before = evaluation.run(model, model_in(original), reference=model_in(original), outputs=outputs)
    judged = {}
    for media in wcodec.MEDIA:
        packed, restored = folder / "packed.wcz", folder / "restored" / original.name
        restored.parent.mkdir(exist_ok=True)
        wcodec.run("pack", original, "--as", media, "--force", "-o", packed)
        wcodec.run("unpack", packed, "--force", "-o", restored)
        layers = wcodec.layers(packed)
        comparison = sameness.compare(original, restored)
        digest = hashlib.sha256(model_in(restored).read_bytes()).hexdigest()
        if digest not in judged:
            judged[digest] = evaluation.run(model, model_in(restored), reference=outputs)
        faults = list(comparison.faults)
        # Every tensor that changed has to be one that was packed, told by its size; frameworks have other names.
        extra = collections.Counter(comparison.changed) - collections.Counter(layer.bytes for layer in layers)
        if extra:
            faults.append(f"tensors of {', '.join(map(str, extra.elements()))} bytes changed, which were not packed")
        faults += judge(model, before, judged[digest])
        yield row(model, original, media, packed, layers, before, judged[digest]), faults
    if model.name in CONVERSIONS and original.is_file():
        yield conversion(model, restored, packed, CONVERSIONS[model.name], folder)


def model_in(path):
    """The model file itself, where it is in a directory."""
    return path / "model.safetensors" if path.is_dir() else path


def judge(model, before, after):
    """What the network does worse than it may."""
    faults = []
    if not after["relative-error"] <= model.tolerance:
        faults.append(f"outputs differ by {after['relative-error']:.4f}, more than {model.tolerance}")
    for metric in model.metrics:
        change = after[metric] / before[metric] - 1
        if not abs(change) <= LARGEST_CHANGE:
            faults.append(f"{metric} changed by {change:+.2%}")
    return faults


def row(model, original, media, packed, layers, before, after):
    size = sum(path.stat().st_size for path in [original, *original.rglob("*")] if path.is_file())
    metric = model.metrics[0]
    return [
        model.name,
        original.name,
        media,
        f"{packed.stat().st_size:,}",
        f"{size / packed.stat().st_size:.2f}",
        str(len(layers)),
        f"{after['relative-error']:.4f}",
        metric,
        f"{before[metric]:.5f}",
        f"{after[metric]:.5f}",
    ]


def conversion(model, restored, packed, extension, folder):
    """Unpack into another format; it must hold what the restored file holds."""
    converted = folder / f"converted.{extension}"
    wcodec.run("unpack", packed, "--to", extension, "-o", converted)
    same = contents.read(converted).tensors == contents.read(restored).tensors
    cells = [model.name, restored.name, f"--to {extension}", f"{converted.stat().st_size:,}"]
    return [*cells, *[""] * (len(COLUMNS) - 1 - len(cells))], [] if same else ["other tensors than in the restored file"]


if __name__ == "__main__":
    main()
