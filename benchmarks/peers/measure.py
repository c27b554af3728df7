"""Running the measurements one after another and keeping their results on disk."""

import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys
import time

import ours
import registry
import wcodec

HERE = pathlib.Path(__file__).resolve().parent
FORMAT = 1  # of the kept results; another one makes them void
CLOSE = 0.05  # bits for each weight
SMALL = 8e6  # weights; smaller models are measured at every setting of a peer
BOUND = 20 * math.log10(2)  # dB of a bit in R(D), the least rate of Gaussian noise at an error (Shannon)


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rate(result):
    """Bits for each weight; the whole file counts."""
    return 8 * result["bytes"] / result["weights"]


def snr(result):
    """Signal-to-noise ratio in dB; the signal is the weights' energy, the mean not taken off."""
    return 10 * math.log10(result["energy"] / result["squared_error"])


def log_deviation(result):
    """log2 of the weights' root mean square."""
    return math.log2(result["energy"] / result["weights"]) / 2


class Measurements:
    """Measures, or takes what an earlier run kept in `folder` unless told to begin afresh."""

    def __init__(self, folder, fresh=False):
        self.folder = folder
        self.fresh = fresh
        self.hashes = {}
        self.began = time.time()
        folder.mkdir(parents=True, exist_ok=True)

    def hash(self, path):
        if path not in self.hashes:
            self.hashes[path] = hash_of(path)
        return self.hashes[path]

    def kept(self, path, name, key, setting, work):
        """The result of `work`, or the one that was kept for the same file, program and setting."""
        key = [name, *key, self.hash(path), setting]
        file = self.folder / f"{hashlib.sha256(json.dumps([FORMAT, *key]).encode()).hexdigest()[:24]}.json"
        if not file.exists() or (self.fresh and file.stat().st_mtime < self.began):
            print(f"{path.stem}: {name}, {setting:g}", file=sys.stderr, flush=True)
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(work() | {"key": key}))
            temporary.rename(file)
        result = json.loads(file.read_text())
        del result["key"]
        place = {"source": path.stem, "format": path.parent.name, "program": name, "setting": setting}
        return place | result | {"kept": file.stat().st_mtime < self.began}

    def of_peer(self, name, path, setting):
        """What a peer does with a file at one setting."""

        def work():
            command = [sys.executable, HERE / "worker.py", name, path, str(setting)]
            result = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=ours.alone)
            if result.returncode != 0:
                sys.exit(f"{path}: {name}: exit status {result.returncode}")
            return json.loads(result.stdout)

        return self.kept(path, name, [registry.PEERS[name].version()], setting, work)

    def of_ours(self, name, variant, path, point):
        """What wcodec does with a file when it is asked for so many bits."""
        key = ["check", variant.options, variant.target, self.hash(pathlib.Path(wcodec.PROGRAM))]
        return self.kept(path, name, key, point, lambda: ours.measure(variant, path, point))

    def near(self, name, path, bits, deviation):
        """What a lossy peer does at the setting that comes closest to a number of bits for each weight."""
        peer = registry.PEERS[name]
        setting = peer.setting(deviation, bits)
        tried = {}
        while setting not in tried and len(tried) < 5:
            tried[setting] = self.of_peer(name, path, setting)
            missing = bits - rate(tried[setting])
            if abs(missing) <= CLOSE:
                break
            step = missing / peer.bits_per_setting
            setting += round(step) if peer.is_discrete else round(step, 3)
        return min(tried.values(), key=lambda result: abs(rate(result) - bits))

    def curve(self, name, path, deviation):
        """What a lossy peer does from about 2 to a little more than 4 bits for each weight, smallest first."""
        peer = registry.PEERS[name]
        if peer.all_settings:
            results = [self.of_peer(name, path, setting) for setting in peer.all_settings]
        elif peer.is_discrete:
            least, most = (self.near(name, path, bits, deviation) for bits in (2, 4))
            first, last = sorted((round(least["setting"]) + 1, round(most["setting"]) - 1))
            step = 1 if least["weights"] < SMALL or last - first < 8 else 2
            results = [self.of_peer(name, path, setting) for setting in range(first, last + 1, step)]
        else:
            results = [self.near(name, path, bits, deviation) for bits in ours.POINTS]
        return sorted({result["setting"]: result for result in results}.values(), key=rate)


def bits_at(curve, ratio):
    """Bits for each weight at which a curve reaches a signal-to-noise ratio in dB, or None beyond its ends."""
    for low, high in zip(curve, curve[1:]):
        if snr(low) <= ratio <= snr(high):
            part = (ratio - snr(low)) / (snr(high) - snr(low))
            return rate(low) + part * (rate(high) - rate(low))
    return None
