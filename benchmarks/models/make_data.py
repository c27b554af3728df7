"""Labeled data of the evaluations of magika, silero-vad and PP-OCR as array archives that `wcodec verify --data` reads.

    make_data.py magika magika.npz
    make_data.py silero silero.npz
    make_data.py ocr ocr.npz

The samples and labels are those of evaluate_magika.py and of evaluate_silero_onnx.py with the file that takes a whole
recording; those of PP-OCR are the lines of evaluate_ocr.py without spaces, for `--metric wer --blank 0,6624`, where 0 is nothing and
6624 a space. docs/data.md specifies the form. Needs numpy, onnxruntime and for PP-OCR Pillow, as those scripts do.
"""

import argparse
import json

import numpy as np

import evaluate_magika
import evaluate_ocr
import evaluate_silero_onnx
import fetched
import onnx_session
import speech
import voice


def magika():
    """A row of features and a type for each file."""
    config = json.loads(fetched.file("magika/config.min.json").read_text(encoding="utf-8"))
    rows, labels = evaluate_magika.files(config)
    return {"bytes": rows, "y": labels}


def silero():
    """The windows of each recording, and for each window whether there is speech in it."""
    zeros = np.zeros((1, 1, evaluate_silero_onnx.HIDDEN), np.float32)
    arrays = {"h": zeros, "c": zeros}
    for number, recording in enumerate(speech.recordings()):
        windows = voice.windows_of(recording.samples)
        arrays[f"input/{number}"] = windows
        arrays[f"y/{number}"] = voice.labels_of(recording, len(windows))
    return arrays


def ocr():
    """A picture of each line, and the classes of its characters."""
    session = onnx_session.open(fetched.file("ocr/ch_PP-OCRv4_rec_infer.onnx"))
    alphabet = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    classes = {character: number for number, character in enumerate(alphabet, 1)}
    arrays = {}
    for number, (text, picture) in enumerate(zip(*evaluate_ocr.lines())):
        arrays[f"x/{number}"] = picture
        arrays[f"y/{number}"] = np.array([classes[character] for character in text if character != " "])
    return arrays


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["magika", "ocr", "silero"])
    parser.add_argument("file", metavar="FILE.npz")
    arguments = parser.parse_args()
    np.savez_compressed(arguments.file, **{"magika": magika, "ocr": ocr, "silero": silero}[arguments.model]())


if __name__ == "__main__":
    main()
