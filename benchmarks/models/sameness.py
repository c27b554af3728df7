"""Whether a restored model file is the original but for the weights that were packed."""

import collections
import filecmp

import numpy as np

import contents

# `changed`: sizes in bytes of the tensors that hold other values. `faults`: one line for each difference besides.
Comparison = collections.namedtuple("Comparison", "changed faults")


def compare(original, restored):
    """Compare two model files, or two directories of files of which some are models."""
    if original.is_dir():
        return compare_directories(original, restored)
    before, after = contents.read(original), contents.read(restored)
    faults = []
    if before.rest != after.rest:
        faults.append("the framework sees a difference besides the tensors' values")
    if list(before.tensors) != list(after.tensors):
        return Comparison([], faults + ["other tensors, or in another order"])
    changed = [name for name in before.tensors if before.tensors[name] != after.tensors[name]]
    faults += [f"{name}: not numbers" for name in changed if len(before.tensors[name]) != len(after.tensors[name])]
    faults += unexplained(original, restored, [(before.tensors[name], after.tensors[name]) for name in changed])
    return Comparison([len(before.tensors[name]) for name in changed], faults)


def unexplained(original, restored, changes):
    """Faults in the bytes outside the tensors that changed; `changes` pairs what each held with what it holds now."""
    before, listing = contents.payload(original)
    after, listing_after = contents.payload(restored)
    if listing != listing_after:
        return ["the ZIP file says other things of its members"]
    if len(before) != len(after):
        return [f"expected {len(before)} bytes, found {len(after)}"]
    same = np.frombuffer(before, np.uint8) == np.frombuffer(after, np.uint8)
    end = 0
    for old, new in changes:
        # Tensors mostly lie in the order of their names.
        start = before.find(old, end)
        if start < 0:
            start = before.find(old)
        if start < 0 or after[start : start + len(new)] != new:
            return ["a tensor that changed does not lie where it did"]
        end = start + len(old)
        same[start:end] = True
    count = int((~same).sum())
    return [f"{count} bytes differ outside the tensors, the first at {int(same.argmin())}"] if count else []


def compare_directories(original, restored):
    names, found = ({path.relative_to(folder) for path in folder.rglob("*")} for folder in (original, restored))
    faults = [f"{name}: only in one of the directories" for name in sorted(names ^ found)]
    changed = []
    for name in sorted(names & found):
        first, second = original / name, restored / name
        if first.is_dir() or filecmp.cmp(first, second, shallow=False):
            continue
        if name.suffix not in contents.READERS:
            faults.append(f"{name}: not a model, and not as it was")
            continue
        result = compare(first, second)
        changed += result.changed
        faults += [f"{name}: {fault}" for fault in result.faults]
    return Comparison(changed, faults)
