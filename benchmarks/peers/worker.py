"""Measures one peer on one file at one setting, alone in its process: prints JSON.

    worker.py PEER SOURCE.safetensors SETTING
"""

import contextlib
import json
import os
import pathlib
import sys
import time

os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"))

import lossless  # noqa: E402, after the number of threads is set
import numpy as np  # noqa: E402
import registry  # noqa: E402
import tensors  # noqa: E402

RUNS = 3  # at least
ENOUGH = 1  # second; what is shorter is run more often, up to
MOST = 25  # times
LONG = 5  # seconds; what takes longer is run once


def is_enough(times):
    """Whether something has run often enough to trust the least of its times, in seconds."""
    return times[0] > LONG or len(times) >= RUNS and (sum(times) > ENOUGH or len(times) >= MOST)


def peak_memory(reset=False):
    """Largest resident size of this process since the last reset, in bytes."""
    if reset:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def timed(work):
    """Result, least processor time in seconds and peak memory in bytes of some runs."""
    times = []
    peak_memory(reset=True)
    while not times or not is_enough(times):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return result, min(times), peak_memory()


def squared_error(arrays, restored):
    """Sums of the squares of the errors and of the weights."""
    error = energy = 0.0
    for name, array in arrays.items():
        weights = array.astype(np.float64)
        error += np.sum((restored[name].reshape(array.shape) - weights) ** 2)
        energy += np.sum(weights**2)
    return float(error), float(energy)


def measure(peer, path, setting):
    arrays = tensors.read(path)
    if peer.is_lossy:
        packed, encoding, encoder_memory = timed(lambda: peer.encode(arrays, setting))
    else:
        file = lossless.File(path, arrays)
        packed, encoding, encoder_memory = timed(lambda: peer.encode(file))
    restored, decoding, decoder_memory = timed(lambda: peer.decode(packed))
    result = {
        "weights": sum(array.size for array in arrays.values()),
        "original": path.stat().st_size,
        "bytes": peer.size(packed),
        "encode_seconds": encoding,
        "decode_seconds": decoding,
        "encode_memory": encoder_memory,
        "decode_memory": decoder_memory,
    }
    if peer.is_lossy:
        result["squared_error"], result["energy"] = squared_error(arrays, restored)
    elif peer.restored(restored) != file.data:
        sys.exit(f"{path}: expected the file's bytes back, found others")
    return result


def main():
    name, path, setting = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(registry.PEERS[name], pathlib.Path(path), float(setting))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
