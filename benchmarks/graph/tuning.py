"""Tunes the run modes of the ONNX development models and prints what that gains over the best single mode, as a table.

    scripts/fetch-models silero-onnx magika ocr
    .models/venv/bin/pip install openvino==2026.4.1
    .models/venv/bin/python benchmarks/graph/tuning.py [--runs N] [--tolerance E] [MODEL ...]

The data are those of benchmarks/models/make_data.py. Needs a release build of wcodec; the machine should have nothing else to do.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("WCODEC_MODELS", ROOT / ".models"))
FILES = {
    "magika": ("magika", "magika/model.onnx"),
    "ocr": ("ocr", "ocr/ch_PP-OCRv4_rec_infer.onnx"),
    "silero": ("silero", "silero/silero_vad_16k_sequence.onnx"),
}


def tune(model, arguments, folder):
    """What `wcodec tune --json` says."""
    data, file = FILES[model]
    archive = folder / f"{data}.npz"
    if not archive.exists():
        subprocess.run([sys.executable, ROOT / "benchmarks/models/make_data.py", data, archive], check=True)
    command = [ROOT / ".build/release/wcodec", "tune", MODELS / file, "--data", archive, "--samples", "2", "--dry-run", "--json"]
    command += ["--runs", arguments.runs, "--tolerance", arguments.tolerance]
    # The engines are those of this Python.
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | {"PATH": path}).stdout)


def row(model, result):
    singles = [trial for trial in result["singles"] if "refusal" not in trial]
    best = {}
    for trial in singles:
        target = trial["modes"][0].split("/")[0]
        best[target] = min(best.get(target, float("inf")), trial["milliseconds"])
    choice = ", ".join(result["choice"]["modes"]) + (" for all" if result["segments"] == 1 else f" in {result['segments']} segments")
    return [
        model, *(f"{best[name]:.2f}" if name in best else "-" for name in ("onnxruntime", "openvino", "native")),
        result["bestSingle"]["modes"][0], str(len(result["combinations"])), choice,
        f"{result['gainPercent']:.1f} ± {result['gainNoisePercent']:.1f}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", default="25")
    parser.add_argument("--tolerance", default="1e-3")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(FILES))
    arguments = parser.parse_args()
    print("| model | ONNX Runtime, ms | OpenVINO, ms | native, ms | best single mode | combinations | chosen | gain, % |")
    print("|---|---:|---:|---:|---|---:|---|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models or FILES:
            print("| " + " | ".join(row(model, tune(model, arguments, pathlib.Path(folder)))) + " |", flush=True)


if __name__ == "__main__":
    main()
