"""What benchmarks/rate does once the Python packages are there."""

import argparse
import importlib.metadata
import json
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))

import bars  # noqa: E402, after the path of what these import
import drawing  # noqa: E402
import fetched  # noqa: E402
import measure  # noqa: E402
import numpy as np  # noqa: E402
import ours  # noqa: E402
import registry  # noqa: E402
import sources  # noqa: E402
import table  # noqa: E402
import tables  # noqa: E402
import tensors  # noqa: E402
import wcodec  # noqa: E402
from results import Results  # noqa: E402

FOLDER = wcodec.REPOSITORY / ".rate"
RESULT = wcodec.REPOSITORY / "benchmarks/rate.md"
SOURCES = [sources.GAUSSIAN, *sources.FILES]
PROGRAMS = list(dict.fromkeys([*ours.LOSSY, *registry.LOSSY, *ours.LOSSLESS, *registry.LOSSLESS]))
QUANTIZED = {"smollm2-f16"}  # on a grid of 4 bits already: nothing to lose
SLOW = "zstd -19"  # on large models, which have this many bytes, it takes hours and is never the smallest
LARGE = 2e8


def parse():
    parser = argparse.ArgumentParser(prog="benchmarks/rate", description="Compare wcodec with its peers.")
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="such as gaussian or silero; default: all")
    parser.add_argument("--programs", metavar="A;B", default="", help="only these, separated by semicolons")
    parser.add_argument("--fresh", action="store_true", help="measure again what earlier runs kept in .rate/results")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the document")
    chosen = parser.parse_args()
    chosen.programs = [name.strip() for name in chosen.programs.split(";") if name.strip()]
    for names, known in ((chosen.sources, SOURCES), (chosen.programs, PROGRAMS)):
        for name in names:
            if name not in known:
                sys.exit(f"expected one of {'; '.join(known)}, found '{name}'")
    return chosen


def deviation(path):
    """log2 of the root mean square of the weights in a file."""
    arrays = tensors.read(path).values()
    energy = sum(float(np.sum(np.square(array, dtype=np.float64))) for array in arrays)
    return math.log2(energy / sum(array.size for array in arrays)) / 2


def lossy(measurements, source, path, programs):
    """What each of the programs makes of a source with loss, point by point."""
    for name, variant in ours.LOSSY.items():
        if name in programs:
            for point in ours.points(name, source):
                yield measurements.of_ours(name, variant, path, point)
    chosen = [name for name in registry.LOSSY if name in programs]
    spread = deviation(path) if chosen else 0
    for name in chosen:
        yield from measurements.curve(name, path, spread)


def lossless(measurements, path, programs):
    for name, variant in ours.LOSSLESS.items():
        if name in programs:
            yield measurements.of_ours(name, variant, path, 0)
    for name in registry.LOSSLESS:
        if name in programs and not (name == SLOW and path.stat().st_size > LARGE):
            yield measurements.of_peer(name, path, 0)


def versions():
    names = (HERE / "requirements.txt").read_text().splitlines()
    packages = ["nncodec", "torch", *(name.split("==")[0] for name in names if "==" in name)]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def main():
    chosen = parse()
    programs = chosen.programs or PROGRAMS
    version = wcodec.run("--version").strip()
    measurements = measure.Measurements(FOLDER / "results", chosen.fresh)
    rows = []
    for source in chosen.sources or SOURCES:
        paths = sources.convert(source, fetched.MODELS, FOLDER / "sources")
        if source not in QUANTIZED:
            rows += lossy(measurements, source, paths["f32"], programs)
        for path in paths.values():
            rows += lossless(measurements, path, programs)
    results = Results(rows)
    text = tables.document(results, versions())
    record = {
        "wcodec": version,
        "processor": table.processor(),
        "packages": versions(),
        "results": rows,
    }
    if not chosen.sources and not chosen.programs:
        RESULT.write_text(text)
        RESULT.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        drawing.draw(results, RESULT.with_suffix(".png"))
    else:
        drawing.draw(results, FOLDER / "rate.png")
    print(json.dumps(record, indent=1) if chosen.json else text)
    if any(bar.met is False for bar in bars.all_bars(results)):
        sys.exit(1)


if __name__ == "__main__":
    main()
