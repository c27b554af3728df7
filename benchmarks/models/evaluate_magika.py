"""How well magika (convolutions over a file's bytes) tells the types of files, by cross-entropy and accuracy.

The files are members of two wheels (matplotlib and sphinx) whose extension says what they are, at most 40 of each type.
Needs numpy and onnxruntime; the input is made as the package makes it.
"""

import collections
import json
import pathlib
import zipfile

import numpy as np

import fetched
import metrics
import onnx_session

MOST = 40  # files of one type
SMALLEST = 200  # bytes
BATCH = 32
TYPES = {
    "css": "css",
    "csv": "csv",
    "js": "javascript",
    "json": "json",
    "pdf": "pdf",
    "png": "png",
    "po": "po",
    "py": "python",
    "rst": "rst",
    "so": "elf",
    "sty": "latex",
    "svg": "svg",
    "toml": "toml",
    "ttf": "ttf",
    "xml": "xml",
}


def features(data, config):
    """First and last bytes of a file without the white space around them [2048], as numbers, with padding."""
    first = data[: config["block_size"]].lstrip()[: config["beg_size"]]
    last = data[-config["block_size"] :].rstrip()[-config["end_size"] :]
    row = np.full(config["beg_size"] + config["end_size"], config["padding_token"], np.int32)
    row[: len(first)] = list(first)
    row[len(row) - len(last) :] = list(last)
    return row


def files(config):
    """Features [files, 2048] and the number of each one's type."""
    rows, labels = [], []
    count = collections.Counter()
    for wheel in ("matplotlib.whl", "sphinx.whl"):
        with zipfile.ZipFile(fetched.file("magika/" + wheel)) as archive:
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                kind = TYPES.get(pathlib.PurePosixPath(member.filename).suffix[1:])
                if kind is None or member.file_size < SMALLEST or count[kind] == MOST:
                    continue
                count[kind] += 1
                rows.append(features(archive.read(member), config))
                labels.append(config["target_labels_space"].index(kind))
    return np.stack(rows), np.array(labels)


def evaluate(model):
    config = json.loads(fetched.file("magika/config.min.json").read_text(encoding="utf-8"))
    session = onnx_session.open(model)
    rows, labels = files(config)
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    probabilities = np.concatenate([session.run(None, {"bytes": batch})[0] for batch in batches])
    results = {
        "accuracy": (probabilities.argmax(axis=1) == labels).mean(),
        "cross-entropy": -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean(),
    }
    return results, probabilities


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
