"""Times networks in each mode of the native target beside ONNX Runtime, and prints a table.

    python3 benchmarks/graph/modes.py [MODEL.onnx [NAME=SIZES ...]]

Without arguments the networks that `scripts/fetch-models silero-onnx magika ocr` fetched. Builds `benchmarks/graph/modes` first; needs
onnxruntime, whose library is the peer.
"""

import json
import os
import pathlib
import subprocess
import sys

import onnxruntime

HERE = pathlib.Path(__file__).resolve().parent
MODELS = pathlib.Path(os.environ.get("WCODEC_MODELS", HERE.parents[1] / ".models"))
NETWORKS = {
    "silero_vad": ["silero/silero_vad.onnx", "input=1x576", "state=2x1x128"],
    "silero_vad_16k_sequence, 64 frames": ["silero/silero_vad_16k_sequence.onnx", "input=64x576"],
    "magika": ["magika/model.onnx"],
    "ocr, 48x320": ["ocr/ch_PP-OCRv4_rec_infer.onnx", "x=1x3x48x320"],
}


def main():
    package = HERE / "modes"
    subprocess.run(["swift", "build", "-c", "release", "--package-path", package], check=True, stdout=sys.stderr)
    library = pathlib.Path(onnxruntime.__file__).parent / "capi"
    networks = NETWORKS
    if len(sys.argv) > 1:
        networks = {pathlib.Path(sys.argv[1]).stem: [pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:]]}
    print("| network | mode | ms | beside ONNX Runtime | largest difference | cosine |")
    print("|---|---|---:|---:|---:|---:|")
    for name, (path, *sizes) in networks.items():
        result = subprocess.run(
            [package / ".build/release/modes", MODELS / path, *sizes], check=True, capture_output=True, text=True,
            env={**os.environ, "WCODEC_ONNXRUNTIME": str(library)})
        for line in result.stdout.splitlines():
            row = json.loads(line)
            mode = row["mode"].removesuffix("/plain")
            print(
                f"| {name} | {mode} | {row['milliseconds']:.3g} | {row['ratio']:.2f} | {row['largestDifference']:.1e} "
                f"| {row['cosine']:.6f} |")
            name = ""


if __name__ == "__main__":
    main()
