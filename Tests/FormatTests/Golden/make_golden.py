#!/usr/bin/env python3
"""Makes golden packed files of the format's versions with a built wcodec, and from one of them files that must be refused.

    python make_golden.py WCODEC

Files that exist are left as they are: what an earlier version wrote must stay readable. Needs numpy and xxhash.
"""

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import xxhash

HERE = os.path.dirname(os.path.abspath(__file__))

# Which tensors are packed, and how, by version of the format.
CASES = {
    "v1/image-8": ["gru", "--as", "image"],
    "v1/image-3-mean": ["fc", "--as", "image", "--bits", "3", "--reconstruct", "mean"],
    "v1/image-12-layer": ["conv", "--as", "image", "--bits", "12", "--range", "layer"],
    "v1/utvideo-5-blocks": ["conv", "--as", "video", "--bits", "5", "--block", "2,4,2,3"],
    "v1/ffv1-10": ["double", "--as", "video", "--bits", "10"],
    "v1/hevc-qp20": ["fc", "--as", "video", "--codec", "hevc:qp=20"],
    "v1/av1-qp30": ["conv", "--as", "video", "--codec", "av1:qp=30"],
    "v1/vp9-8": ["half", "--as", "video", "--codec", "vp9"],
    "v1/flac-8": ["half", "--as", "audio"],
    "v1/wav-6": ["conv", "--as", "audio", "--codec", "wav", "--bits", "6"],
    "v3/fixed-8-channel": ["half|gru", "--quantizer", "fixed"],
    "v3/fixed-12-layer": ["double", "--quantizer", "fixed", "--range", "layer", "--bits", "12"],
    "v3/scaled-4-group": ["conv", "--quantizer", "scaled", "--range", "group:8", "--bits", "4"],
    "v3/scaled-6-model": ["fc|conv", "--quantizer", "scaled", "--range", "model", "--bits", "6", "--as", "video"],
    "v3/exact-image": ["fc|half|double", "--lossless"],
    "v3/exact-video": ["conv|half", "--lossless", "--as", "video"],
    "v3/exact-audio": ["gru|double", "--lossless", "--as", "audio"],
    "v3/trellis-8-image": ["conv|double|gru", "--quantizer", "trellis:states=8", "--bits", "4"],
    "v3/trellis-64-split": ["split", "--quantizer", "trellis:states=64", "--min-snr", "2"],
    "v3/trellis-256": ["outlier", "--quantizer", "trellis:states=256", "--bits", "3"],
    "v3/trellis-sorted-channels": ["lstm", "--quantizer", "trellis", "--bits", "2"],
    "v3/trellis-sorted-both": ["sorted", "--quantizer", "trellis", "--target-bpw", "4"],
    "v3/trellis-centers": ["rows", "--quantizer", "trellis", "--target-bpw", "1.5"],
    "v3/trellis-steps": ["lstm", "--quantizer", "trellis", "--target-bpw", "1.6"],
    "v3/trellis-predicted": ["bank", "--quantizer", "trellis", "--target-bpw", "2"],
    "v3/trellis-video": ["conv|half", "--as", "video", "--codec", "utvideo:pack=2", "--bits", "3", "--quantizer", "trellis"],
    "v3/trellis-audio": ["fc|gru", "--as", "audio", "--codec", "flac:pack=2", "--bits", "3", "--quantizer", "trellis"],
    "v3/trellis-1-scalar": ["fc|half|double", "--max-error", "0.25"],
    "v3/trellis-auto": ["conv|outlier", "--as", "auto", "--min-snr", "12"],
    "v3/uniform-auto": ["conv|spread", "--as", "auto", "--bits", "4"],
    "v4/kept": ["wide|norm", "--as", "image", "--bits", "5", "--exclude", "norm"],
    "v4/transposed-planes": ["wide", "--quantizer", "fixed", "--bits", "6"],
}


# The same for series of two models, the second a little different.
SERIES = {
    "v3/delta-series": ["fc|half|double", "--lossless"],
    "v3/film-exact": ["fc|half|double", "--lossless", "--as", "video"],
    "v3/film-uniform": ["conv|gru|spread", "--as", "video", "--bits", "5"],
    "v3/film-scaled": ["half|fc|double", "--as", "video", "--quantizer", "scaled", "--bits", "9"],
    "v3/film-blocks": ["conv", "--as", "video", "--block", "2,2,2,2", "--codec", "h264:inter=4", "--bits", "3"],
}


def write_model(path, pattern, step=0):
    """Writes a bias, which is kept, and the tensors that are to be packed, moved by a step of training."""
    random = np.random.default_rng(1)

    def spread(count):
        """Scales of rows that differ by orders of magnitude."""
        return np.exp(1.5 * random.normal(size=(count, 1)))

    tensors = {
        "conv.weight": random.normal(size=(4, 3, 3, 2)).astype("<f4"),
        "fc.weight": random.normal(size=(3, 5)).astype("<f4"),
        "half.weight": random.normal(size=(4, 5)).astype("<f2"),
        "double.weight": random.normal(size=(2, 5)).astype("<f8"),
        "gru.weight_ih_l0": random.normal(size=(6, 3)).astype("<f4"),
        "gru.weight_hh_l0": random.normal(size=(6, 2)).astype("<f4"),
        "bias": random.normal(size=3).astype("<f4"),
        "spread.weight": random.normal(size=(64, 80)).astype("<f4"),
        "outlier.weight": (random.normal(size=(30, 20)) * np.where(random.random((30, 20)) < 0.02, 30, 1)).astype("<f4"),
        "lstm.weight_ih_l0": (spread(64) * random.normal(size=(128, 40)).reshape(2, 64, 40)).reshape(128, 40).astype("<f4"),
        "sorted.weight": (spread(64) * (random.normal(size=(64, 72)) + 20 * random.normal(size=72))).astype("<f4"),
        "split.weight": random.normal(size=(160, 120)).astype("<f2"),
        "rows.weight": (random.normal(size=(64, 72)) + 30 * random.normal(size=(64, 1))).astype("<f4"),
    }
    waves = np.sin(np.outer(np.arange(1, 49), np.arange(96) / 40))
    tensors["bank.weight"] = (waves + 0.02 * random.normal(size=waves.shape)).astype("<f4")
    tensors["wide.weight"] = random.normal(size=(150, 3)).astype("<f4")
    for number, kind in enumerate(["<f4", "<f2", "<f8", "<f4"]):
        tensors[f"norm{number}"] = (random.normal(size=700 if kind == "<f4" else 300) / 10**number).astype(kind)
    tensors = {name: tensor for name, tensor in tensors.items() if re.search(f"{pattern}|bias", name)}
    tensors = {name: (tensor * (1 + step)).astype(tensor.dtype) for name, tensor in tensors.items()}
    names = {"<f4": "F32", "<f2": "F16", "<f8": "F64"}
    header, data = {}, b""
    for name, tensor in tensors.items():
        start = len(data)
        data += tensor.tobytes()
        header[name] = {"dtype": names[tensor.dtype.str], "shape": tensor.shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def rewrite(source, manifest=None, entries=None, compression=zipfile.ZIP_STORED, remove=(), only=None):
    """The packed file with changes that its own hash then covers; entries other than `only` are stored."""
    out = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            data = (entries or {}).get(info.filename, old.read(info))
            if info.filename == "manifest.json" and manifest:
                value = json.loads(data)
                manifest(value)
                data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
            if info.filename not in remove:
                method = compression if only in (None, info.filename) else zipfile.ZIP_STORED
                new.writestr(zipfile.ZipInfo(info.filename), data, method)
        new.comment = b"wcodec 1 xxh3-128 " + b"0" * 32
    data = out.getvalue()[:-32]
    return data + xxhash.xxh3_128_hexdigest(data).encode()


def refused(path):
    """Files that break one rule each, with what an error message must name."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.startswith("image/"))
        picture = bytearray(archive.read(name))
    picture[40] ^= 1

    def change(*keys, to):
        def apply(value):
            for key in keys[:-1]:
                value = value[key]
            value[keys[-1]] = to

        return rewrite(path, apply)

    return {
        "version-2": (change("version", to=2), "version 2"),
        "path": (change("source", "files", 0, "name", to="../model.safetensors"), "name"),
        "stream-hash": (rewrite(path, entries={name: bytes(picture)}), name),
        "stream-missing": (rewrite(path, remove=[name]), name),
        "tensor-hash": (change("tensors", 0, "packed", "hash", to="0" * 32), "tensor"),
        "tensor-place": (change("tensors", 1, "at", to=[0, 1 << 40]), "inside its file"),
        "compressed": (rewrite(path, compression=zipfile.ZIP_DEFLATED), "stored"),
    }


def keep(name, data):
    """Writes a file unless it exists."""
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.write(data)
    return path


def main(wcodec):
    expected = {"restored": {}, "refused": {}}
    if os.path.exists(os.path.join(HERE, "expected.json")):
        with open(os.path.join(HERE, "expected.json")) as file:
            expected = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        model, packed, restored = (os.path.join(folder, name) for name in ("model.safetensors", "p.wcz", "out"))
        for name, (include, *options) in CASES.items():
            name = f"{name}.wcz"
            if name in expected["restored"]:
                continue
            write_model(model, include)
            options += ["--include", include, "-q", "--force", "-o", packed]
            subprocess.run([wcodec, "pack", model, *options], check=True)
            subprocess.run([wcodec, "unpack", packed, "-q", "--force", "-o", restored], check=True)
            with open(packed, "rb") as file:
                keep(name, file.read())
            with open(restored, "rb") as file:
                expected["restored"][name] = {"model.safetensors": xxhash.xxh3_128_hexdigest(file.read())}
        for name, (include, *options) in SERIES.items():
            name = f"{name}.wcz"
            if name in expected["restored"]:
                continue
            models = [os.path.join(folder, f"step{step}.safetensors") for step in (1, 2)]
            for step, path in enumerate(models):
                write_model(path, include, 1e-4 * step)
            subprocess.run([wcodec, "pack", *models, *options, "--include", include, "-q", "--force", "-o", packed], check=True)
            subprocess.run([wcodec, "unpack", packed, "-q", "-o", restored + "s"], check=True)
            with open(packed, "rb") as file:
                keep(name, file.read())
            hashes = {}
            for path in models:
                with open(os.path.join(restored + "s", os.path.basename(path)), "rb") as file:
                    hashes[os.path.basename(path)] = xxhash.xxh3_128_hexdigest(file.read())
            shutil.rmtree(restored + "s")
            expected["restored"][name] = hashes
    for name, (data, part) in refused(os.path.join(HERE, "v1/image-3-mean.wcz")).items():
        keep(f"refused/{name}.wcz", data)
        expected["refused"][f"refused/{name}.wcz"] = part
    with open(os.path.join(HERE, "expected.json"), "w") as file:
        json.dump(expected, file, indent=2, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
