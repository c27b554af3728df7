"""Runs `wcodec graph` on the operator tests that the onnx package ships, and compares shapes and types with the expected outputs.

    python3 benchmarks/graph/operators.py [PATTERN]

Inputs of integers that shapes may depend on are made constants, and what the models declare of their outputs is taken away, so that
nothing but inference says what comes out. Prints what is wrong, and what stays open by operator. Needs onnx and numpy.
"""

import collections
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

WCODEC = pathlib.Path(__file__).resolve().parents[2] / ".build/release/wcodec"


def check(case, work):
    model, graph = case.model, case.model.graph
    operator = graph.node[-1].op_type if graph.node else ""
    if {value.type.WhichOneof("value") for value in list(graph.input) + list(graph.output)} != {"tensor_type"}:
        return case.name, operator, "skipped", ""
    given, expected = case.data_sets[0]
    inputs = list(graph.input)
    for info, array in zip(inputs, map(array_of, given)):
        is_first = info.name == inputs[0].name and len(inputs) > 1 and array.dtype == np.float32
        if array.size <= 64 and array.dtype in (np.int64, np.int32, np.bool_, np.float32) and not is_first:
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
            graph.input.remove(info)
    results = {value.name: array_of(array) for value, array in zip(graph.output, expected)}
    for output in graph.output:
        output.ClearField("type")
    del graph.value_info[:]
    path = work / f"{case.name}.onnx"
    onnx.save(model, path)
    result = subprocess.run([WCODEC, "graph", path, "--json"], capture_output=True, text=True)
    path.unlink()
    if result.returncode != 0:
        return case.name, operator, "error", result.stderr.strip()
    values = json.loads(result.stdout)["graph"]["values"]
    state = "right"
    for name, array in results.items():
        value = values.get(name, {})
        shape, elements = value.get("shape"), value.get("integers")
        if shape is None or any(not isinstance(size, int) for size in shape):
            state = "open"
        sizes = list(array.shape) if shape is None else shape
        if differs(sizes, list(array.shape)):
            return case.name, operator, "wrong", f"{name}: {shape}, expected {list(array.shape)}"
        if elements and array.dtype.kind in "iub" and differs(elements, array.flatten().tolist()):
            return case.name, operator, "wrong", f"{name}: elements {elements}, expected {array.flatten().tolist()}"
        kind = {"float32": "F32", "int64": "I64", "int32": "I32", "bool": "BOOL", "uint8": "U8"}.get(str(array.dtype))
        if kind and value.get("type") and value["type"] != kind:
            return case.name, operator, "wrong", f"{name}: {value['type']}, expected {kind}"
    return case.name, operator, state, ""


def array_of(value):
    """Types that numpy does not have come as ONNX's own tensors."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def differs(known, expected):
    return len(known) != len(expected) or any(isinstance(a, int) and a != b for a, b in zip(known, expected))


def main():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    cases = [case for case in collect_testcases(None) if pattern.search(case.name) and case.data_sets]
    counts = collections.Counter()
    still_open = collections.Counter()
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, operator, state, detail in pool.map(lambda case: check(case, pathlib.Path(work)), cases):
            counts[state] += 1
            if state in ("error", "wrong"):
                print(f"{name}: {detail}")
            if state == "open":
                still_open[operator] += 1
    print(dict(counts))
    print("open:", ", ".join(f"{name} {count}" for name, count in still_open.most_common()))
    sys.exit(counts["wrong"] + counts["error"] > 0)


if __name__ == "__main__":
    main()
