"""Runs the operator tests of the onnx package on an engine, or a mode of it as native/NHWC/F32.

    python3 Tests/operators/run.py WCODEC ENGINE[=LIBRARY] [OPERATOR ...]

A case counts when all of its operators are among those listed, of which engines other than native may refuse some (all that the
engine does not refuse, when none are), its tensors are of types that the native target computes with and it is none of the engine's
EXCEPTIONS. Outputs are compared with the tolerances that onnx's own test runner has. Prints what is wrong and a line of counts; needs
onnx and numpy.
"""

import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

TYPES = {"float32", "int64", "int32", "int16", "int8", "uint32", "uint16", "uint8", "bool"}

EXCEPTIONS = {
    # Forms of claimed operators that it refuses in a line: what only training needs, indices of a pool, blocked scales.
    "native": r"(training_dropout|scan_sum|batchnorm_\w+_training|batchnorm\w*_training_mode|maxpool_with_argmax)|\w*quantizelinear_blocked",
    # Products of integers and dynamic scales round as the processor has it. The rest is where version 1.31.1 fails, or differs from
    # ONNX: random numbers, and in transforms digits of what should be 0.
    "onnxruntime": r"\w*dynamicquantizelinear|qlinear|matmulinteger|convinteger|training_dropout|dft|stft|maxunpool_export_with_output_shape|reduce_max_empty_set_bool"
    r"|attention_4d_(diff_heads_mask4d_padded_kv$|with_past_and_present_qk_matmul_bias_[34]d_mask_causal$)"
    r"|resize_downsample_scales_(linear|cubic)_align_corners$",
    # Likewise; the rest is where version 2026.4.1 differs from ONNX, which Python's own interface to it shows too.
    "openvino": r"\w*dynamicquantizelinear|qlinear|matmulinteger|convinteger|training_dropout|dft|bernoulli_seed_expanded"
    r"|bitshift_\w+_(negative_input|overflow|shift_ge_width|negative_shift)|tile$|top_k_same_values"
    r"|attention_4d_with_past_and_present_qk_matmul_bias_[34]d_mask_causal$"
    r"|attention_(3d_)?(\w*_robustness_expanded|\w*_structural_empty_expanded|\w*mode3_zero_expanded|local_window\w*|bidirectional_window)$"
    r"|(gru|lstm|simple_rnn)_batchwise|lstm_with_peepholes|maxpool_2d_ceil_output_size_reduce_by_one"
    r"|nonmaxsuppression_iou_threshold_boundary|reduce_max_empty_set$|roialign_mode_max|spacetodepth_crd_mode_example"
    r"|resize_downsample_scales_(linear|cubic)_align_corners$|resize_\w+(exclude_outside|antialias|not_larger|not_smaller)$",
}


def operators(graph):
    for node in graph.node:
        yield node.domain, node.op_type
        for attribute in node.attribute:
            for inner in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                yield from operators(inner)


def casts(graph):
    """Whether a node converts to a type that the target does not compute with."""
    kinds = {getattr(onnx.TensorProto, name.upper().replace("FLOAT32", "FLOAT")) for name in TYPES}
    return any(
        node.op_type == "Cast" and next(a.i for a in node.attribute if a.name == "to") not in kinds for node in graph.node
    )


def is_plain(value):
    return isinstance(value, np.ndarray | np.generic) and str(value.dtype) in TYPES


def run(wcodec, engine, library, claimed, case, work):
    model, (inputs, outputs) = case.model, case.data_sets[0]
    used = {name for domain, name in operators(model.graph) if domain in ("", "ai.onnx")}
    if any(domain not in ("", "ai.onnx") for domain, _ in operators(model.graph)) or model.functions:
        return "skipped", "another domain"
    if claimed and not used - {"Constant"} <= claimed:
        return "skipped", "operators"
    exceptions = EXCEPTIONS[engine.split("/")[0]]
    if re.match(f"test_({exceptions})", case.name) or casts(model.graph) or not all(map(is_plain, [*inputs, *outputs])):
        return "skipped", "types"
    folder = work / case.name
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    arguments = [wcodec, "run", folder / "model.onnx", "--engine", engine, "-o", folder / "y.npz"]
    arguments += [f"--{engine.split('/')[0]}", library] if library else []
    names = [value.name for value in model.graph.input]
    for number, (name, value) in enumerate(zip(names, inputs)):
        np.save(folder / f"{number}.npy", value)
        arguments += ["--input", f"{name}={folder / f'{number}.npy'}"]
    result = subprocess.run(arguments, capture_output=True, text=True)
    if result.returncode != 0:
        reason = result.stderr.strip()
        if (not claimed or not engine.startswith("native")) and "refuses it" in reason:
            return "skipped", "operators"
        return "failed", reason.replace(str(folder), "")
    with np.load(folder / "y.npz") as found:
        for value, expected in zip(model.graph.output, outputs):
            try:
                assert found[value.name].dtype == expected.dtype, f"{found[value.name].dtype}, expected {expected.dtype}"
                # Sums that cancel out differ by the order in which a processor adds.
                np.testing.assert_allclose(found[value.name], expected, rtol=case.rtol, atol=max(case.atol, 1e-6))
                assert found[value.name].shape == expected.shape
            except (AssertionError, KeyError) as error:
                return "wrong", f"{value.name}: {' '.join(str(error).split())[:300]}"
    return "passed", ""


def main():
    wcodec, (engine, _, library), claimed = sys.argv[1], sys.argv[2].partition("="), set(sys.argv[3:])
    cases = [case for case in collect_testcases(None) if case.data_sets]
    counts, passed = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda case: run(wcodec, engine, library, claimed, case, pathlib.Path(folder)), cases)
        for case, (state, reason) in zip(cases, results):
            counts[state] += 1
            if state == "passed":
                passed.update(name for _, name in operators(case.model.graph))
            elif state != "skipped":
                print(f"{case.name}: {state}: {reason}")
    without = sorted(claimed - passed.keys())
    if without:
        print("without a case:", " ".join(without))
    print(f"{counts['passed']} passed, {counts['failed'] + counts['wrong']} failed, {counts['skipped']} skipped")
    sys.exit(counts["failed"] + counts["wrong"] > 0)


if __name__ == "__main__":
    main()
