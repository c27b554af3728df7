"""The tables and the document that benchmarks/rate writes."""

import bars
import measure
import ours
import table

PEERS = ("nncodec", "nncodec, lambda")  # that wcodec is compared with at the same error


def of_command(row):
    """Marks speeds of decoding that were measured as those of a command that writes files."""
    return "" if "checked" in row or row["program"] not in (*ours.LOSSY, *ours.LOSSLESS) else "*"


def of_bars(results):
    words = {True: "met", False: "**missed**", None: "not measured"}
    rows = [[bar.what, bar.measured, bar.bar, words[bar.met]] for bar in bars.all_bars(results)]
    return table.markdown(["", "measured", "bar", ""], rows) if rows else "Nothing that has a bar was measured.\n"


def of_points(results, source):
    """Every point of every program on one source."""
    rows = []
    for program in results.programs():
        for row in results.curve(source, program):
            ratio = measure.snr(row)
            rows.append(
                [
                    program,
                    f"{measure.rate(row):.3f}",
                    f"{10 ** (-ratio / 20):.4f}",
                    f"{ratio:.2f}",
                    f"{bars.above_bound(row):+.3f}",
                    f"{bars.encode_rate(row):.2f}",
                    f"{bars.decode_rate(row):.1f}{of_command(row)}",
                    f"{row['encode_memory'] / 1e6:.0f}",
                    f"{row['decode_memory'] / 1e6:.0f}",
                    "kept" if row["kept"] else "",
                ]
            )
    header = ["program", "bits a weight", "relative L2", "SNR, dB", "above R(D)", "encode, M/s", "decode, M/s"]
    return table.markdown([*header, "memory to encode, MB", "to decode", ""], rows)


def of_differences(results, program):
    """Bits for each weight that a variant of wcodec takes more than NNCodec at the same error, by model."""
    rows = []
    for source in results.sources():
        mine = results.curve(source, program)
        cells = []
        for peer in PEERS:
            comparison = bars.Comparison(mine, results.curve(source, peer))
            if not comparison.differences:
                continue
            cells += [f"{comparison.mean:+.3f}", f"{comparison.largest:+.3f}"]
        if len(cells) == 2 * len(PEERS):
            span = f"{measure.rate(mine[0]):.2f} to {measure.rate(mine[-1]):.2f}"
            ratios = bars.decode_ratios(mine, results.curve(source, PEERS[0]))
            times = f"{min(ratios):.1f} to {max(ratios):.1f}{of_command(mine[0])}"
            rows.append([source, f"{mine[0]['weights'] / 1e6:.1f}", span, *cells, times])
    header = ["source", "million weights", "bits a weight"]
    for peer in PEERS:
        header += [f"against {peer}: mean", "largest"]
    return table.markdown([*header, "decodes, times as fast"], rows) if rows else "Not measured.\n"


def of_lossless(results, kind):
    """Sizes in % of the file, and GB of the original for each second of one core."""
    found = {source: results.lossless(source, kind) for source in results.lossless_sources(kind)}
    programs = list(dict.fromkeys(name for group in found.values() for name in group))
    sizes, speeds = [], []
    for source, group in found.items():
        smallest = min(group, key=lambda name: group[name]["bytes"])
        size, speed = [source], [source]
        for program in programs:
            row = group.get(program)
            if row is None:
                size.append("")
                speed.append("")
                continue
            size.append(f"{bars.percent(row):.2f}")
            seconds = (row["encode_seconds"], row["decode_seconds"])
            speed.append(" / ".join(f"{row['original'] / part / 1e9:.3f}" for part in seconds) + of_command(row))
        sizes.append([*size, smallest])
        speeds.append(speed)
    return (
        table.markdown(["% of the file", *programs, "smallest"], sizes)
        + "\n"
        + table.markdown(["encode / decode, GB/s", *programs], speeds)
    )


INTRODUCTION = """\
# Bits against error, beside other programs

Made by `benchmarks/rate`; [rate.json](rate.json) has all figures. Each program gets the same safetensors file: of a
model the floating-point tensors of two or more dimensions and 1,024 elements or more, as float32 or rounded to
bfloat16; or 4096 x 4096 independent Gaussian weights. Of wcodec the whole packed file counts, of NNCodec the whole
bitstream, of SZ3, zfp and GGUF the streams without names and shapes. smollm2, whose weights are on a grid of 4 bits
already, is packed without loss only.

Relative L2 is norm(error) / norm(W) of all weights of the file, SNR the same in dB, R(D) = SNR / 6.0206 the least rate
of any coder for Gaussian noise of one variance. Models are not that: they can lie below.

Speeds are of the processor time of one thread, user and system: the least of 3 to 25 runs, or of one if it takes more
than 5 s. Decoding is measured alike: wcodec's by `unpack --check`, which in one process opens the packed file, restores every
tensor in memory and checks every hash, the others by the calls of their libraries, from memory to memory. Packing is measured
as a whole process that reads and writes files, which favors the others. Memory is the peak of the whole process, Python's
included. A wcodec that is asked for a number of bits packs again where it does not meet it. Of the committed figures those of
`wcodec`, `wcodec, effort 9`, `wcodec, uniform` and `nncodec` come from a machine with hardly anything else to do; the others,
but for Gaussian noise as video and audio those of an earlier wcodec, shared theirs, which lowers speeds.

`nncodec` is NNCodec as its own interface offers it, with dependent quantization. `nncodec, lambda` also weighs the bits
in its trellis (lambda_scale 0.5), which takes fewer of them; only the function below that interface offers it.
SZ3 predicts nothing, OpenZL takes the smallest of its coders for each tensor: their best settings for weights.
"""

AGAINST = """\
## {program}: bits a weight against NNCodec's at the same error

Over wcodec's points, NNCodec's curve being interpolated linearly in the SNR; negative is smaller. Decoding is compared
at the nearest rates, from the slowest of the points to the fastest.
"""


def document(results, versions):
    """The whole of rate.md."""
    parts = [INTRODUCTION, "## Bars\n\n" + of_bars(results)]
    parts.append("![SNR against bits for each weight](rate.png)\n\n![Bits above R(D) against SNR](rate-excess.png)\n")
    for program in (name for name in ours.LOSSY if name in results.programs()):
        text = AGAINST.format(program=program)
        parts.append(text + "\n" + of_differences(results, program))
    for kind, name in (("bf16", "bfloat16"), ("f32", "float32")):
        if results.lossless_sources(kind):
            parts.append(f"## Without loss, {name}\n\n" + of_lossless(results, kind))
    for source in results.sources():
        parts.append(f"## {source}\n\n" + of_points(results, source))
    if any(map(of_command, results.rows)):
        parts.append("\\* Decoding measured by an earlier version as a whole command that starts and writes files.\n")
    kept = sum(row["kept"] for row in results.rows)
    again = f"{kept} of {len(results.rows)} results were kept from earlier runs, the others measured anew."
    parts.append(table.provenance() + versions + ".\n\n" + again + "\n")
    return "\n".join(parts)
