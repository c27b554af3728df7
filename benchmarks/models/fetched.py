"""Where scripts/fetch-models puts things."""

import os
import pathlib
import sys

MODELS = pathlib.Path(os.environ.get("WCODEC_MODELS") or pathlib.Path(__file__).resolve().parents[2] / ".models")


PYTHON = MODELS / "venv/bin/python"  # has what the evaluations import


def folder(name):
    """Folder of the fetched model or data set `name`; ends the program if it has not been fetched."""
    path = MODELS / name
    if not path.is_dir():
        sys.exit(f"{path}: expected a fetched folder, found none; run scripts/fetch-models")
    return path


def file(name):
    """Path of the fetched file `name`, as in "mnist/mnist.pth"; ends the program if it has not been fetched."""
    path = MODELS / name
    if not path.is_file():
        sys.exit(f"{path}: expected a fetched file, found none; run scripts/fetch-models")
    return path
