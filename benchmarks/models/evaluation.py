"""Running the evaluation of a network on a model file."""

import subprocess
import sys

import fetched
import wcodec


def run(model, path, *, reference=None, outputs=None):
    """Metrics of the model file `path`, by name, as the evaluation of `model` prints them.

    `reference` is what the original put out, to compare with; `outputs` is where to write what this one does (.npy).
    """
    command = [fetched.PYTHON, wcodec.REPOSITORY / "benchmarks/models" / model.evaluation, path]
    command += ["--reference", reference] if reference else []
    command += ["--outputs", outputs] if outputs else []
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{model.evaluation} on {path}: exit status {result.returncode}\n{result.stderr.strip()}")
    return {name: float(value) for name, value in map(str.split, result.stdout.splitlines())}
