"""Recordings of meetings with who speaks when: the AMI extracts that the pyannote.audio package tests itself on."""

import collections
import struct

import numpy as np

import fetched

RATE = 16_000  # samples a second

Turn = collections.namedtuple("Turn", "start end speaker")  # seconds from the start of the recording
Recording = collections.namedtuple("Recording", "name samples turns")


def read_wave(path):
    """Samples (-1...1) of a mono RIFF file at 16 kHz, of 16-bit integers or 32-bit floats."""
    data = path.read_bytes()
    position, kind = 12, None
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        chunk = data[position + 8 : position + 8 + size]
        if name == b"fmt ":
            kind, channels, rate = struct.unpack_from("<HHI", chunk)
            if (channels, rate) != (1, RATE):
                raise ValueError(f"{path}: expected mono at {RATE} Hz, found {channels} channels at {rate} Hz")
        elif name == b"data" and kind == 3:
            return np.frombuffer(chunk, "<f4", len(chunk) // 4)
        elif name == b"data":
            return np.frombuffer(chunk, "<i2", len(chunk) // 2).astype(np.float32) / 32768
        position += 8 + size + size % 2
    raise ValueError(f"{path}: expected a data chunk, found none")


def recordings():
    """All recordings, by name."""
    folder = fetched.folder("speech")
    turns = collections.defaultdict(list)
    for path in sorted(folder.glob("*.rttm")):
        for line in path.read_text(encoding="utf-8").splitlines():
            _, name, _, start, duration, _, _, speaker, *_ = line.split()
            turn = Turn(float(start), float(start) + float(duration), speaker)
            turns[name].append(turn)
    return [Recording(path.stem, read_wave(path), turns[path.stem]) for path in sorted(folder.glob("*.wav"))]
