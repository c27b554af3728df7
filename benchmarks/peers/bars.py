"""What wcodec has to reach, and whether it did."""

import collections
import itertools

import measure
import ours
import sources

# `measured` and `bar` as they are shown; `met` is None where it was not measured.
Bar = collections.namedtuple("Bar", "what measured bar met")

ABOVE_BOUND = {  # bits for each weight above Shannon's bound, Gaussian noise
    "wcodec": 0.13,
    "wcodec, effort 9": 0.10,
    "wcodec, effort 9, video": 0.15,
    "wcodec, effort 9, audio": 0.5,
}
SMALLER = 0.05  # bits for each weight by which half of the models have to be smaller
DECODE_RATIO = 10
DECODE = {"8": ("wcodec, uniform", 8, 100), "4": ("wcodec", 2.75, 150)}  # by bit depth: of Gaussian noise from PNG
ENCODE = {"wcodec": 15, "wcodec, effort 9": 0.5}  # million weights a second
PERCENT = {("resemblyzer", "bf16"): 66.6, ("minilm", "bf16"): 65.9, ("minilm", "f32"): 81.6}
LOSSLESS_DECODE = 0.5  # GB/s
FULL = "wcodec, effort 9"
SMALLEST = "wcodec, effort 9, auto"


def at_most(what, value, bar, unit=""):
    met = None if value is None else value <= bar
    return Bar(what, "" if value is None else f"{value:.3f}{unit}", f"at most {bar}{unit}", met)


def at_least(what, value, bar, unit=""):
    met = None if value is None else value >= bar
    return Bar(what, "" if value is None else f"{value:.2f}{unit}", f"at least {bar}{unit}", met)


def encode_rate(result):
    """Million weights a second of one core."""
    return result["weights"] / result["encode_seconds"] / 1e6


def decode_rate(result):
    return result["weights"] / result["decode_seconds"] / 1e6


def above_bound(result):
    """Bits for each weight above R(D) of Gaussian noise with the same error."""
    return measure.rate(result) - measure.snr(result) / measure.BOUND


def percent(result):
    """Size in % of the original file."""
    return 100 * result["bytes"] / result["original"]


class Comparison:
    """wcodec against one peer on one source: bits and decoding time at wcodec's points, at the same error."""

    def __init__(self, mine, theirs):
        pairs = [(result, measure.bits_at(theirs, measure.snr(result))) for result in mine]
        self.pairs = [(result, bits) for result, bits in pairs if bits is not None]
        self.differences = [measure.rate(result) - bits for result, bits in self.pairs]

    @property
    def mean(self):
        return sum(self.differences) / len(self.differences)

    @property
    def largest(self):
        return max(self.differences)


def comparisons(results, program, peer):
    """By source that both were measured on, models alone."""
    found = {}
    for source in results.sources():
        mine, theirs = results.curve(source, program), results.curve(source, peer)
        comparison = Comparison(mine, theirs)
        if source != sources.GAUSSIAN and comparison.differences:
            found[source] = comparison
    return found


def decode_ratios(mine, theirs):
    """How many times faster wcodec decodes than a peer at the nearest rate, point by point."""
    ratios = []
    for result in mine:
        other = min(theirs, key=lambda their: abs(measure.rate(their) - measure.rate(result)))
        ratios.append(decode_rate(result) / decode_rate(other))
    return ratios


def of_gaussian(results):
    for program, bar in ABOVE_BOUND.items():
        for result in results.curve(sources.GAUSSIAN, program):
            what = f"Gaussian, {program}, asked for {result['setting']:g} bits: above R(D)"
            yield at_most(what, above_bound(result), bar)


def of_models(results):
    for program, peer in itertools.product((FULL, SMALLEST), ("nncodec", "nncodec, lambda")):
        found = comparisons(results, program, peer)
        if not found:
            continue
        smaller = sum(comparison.largest < 0 for comparison in found.values())
        clearly = sum(comparison.mean <= -SMALLER for comparison in found.values())
        of_all = f"of {len(found)}"
        what = f"models of {program} smaller than {peer}'s at every point"
        yield Bar(what, f"{smaller} {of_all}", "all", smaller == len(found))
        what = f"models of {program} smaller than {peer}'s by {SMALLER} bits in the mean"
        yield Bar(what, f"{clearly} {of_all}", "half", 2 * clearly >= len(found))


def of_speed(results):
    ratios = {}
    for source in results.sources():
        mine, theirs = results.curve(source, FULL), results.curve(source, "nncodec")
        if mine and theirs and all("checked" in result for result in mine):
            ratios[source] = min(decode_ratios(mine, theirs))
    if ratios:
        slowest = min(ratios, key=ratios.get)
        fast = sum(ratio >= DECODE_RATIO for ratio in ratios.values())
        what = f"models and noise decoded {DECODE_RATIO} times as fast as NNCodec at every point"
        yield Bar(what, f"{fast} of {len(ratios)}", "all", fast == len(ratios))
        yield at_least(f"decoding, times NNCodec's speed; slowest on {slowest}", ratios[slowest], DECODE_RATIO)
    for depth, (program, setting, bar) in DECODE.items():
        points = results.curve(sources.GAUSSIAN, program)
        rates = [decode_rate(result) for result in points if result["setting"] == setting]
        if rates:
            yield at_least(f"decoding PNG of {depth} bits, Gaussian, million weights/s", rates[0], bar)
    for program, bar in ENCODE.items():
        rates = [encode_rate(result) for result in results.curve(sources.GAUSSIAN, program)]
        if rates:
            yield at_least(f"encoding, {program}, Gaussian, slowest, million weights/s", min(rates), bar)


def of_lossless(results):
    larger = {}
    for kind in ("bf16", "f32"):
        for source in results.lossless_sources(kind):
            mine = [result for name, result in results.lossless(source, kind).items() if name in ours.LOSSLESS]
            peers = [result for name, result in results.lossless(source, kind).items() if name not in ours.LOSSLESS]
            if not mine or not peers:
                continue
            value = min(map(percent, mine))
            if (source, kind) in PERCENT:
                yield at_most(f"lossless, {source}, {kind}", value, PERCENT[source, kind], " %")
            if source != sources.GAUSSIAN and value > min(map(percent, peers)):
                larger[source, kind] = value
            if (source, kind) == ("minilm", "f32"):
                rate = mine[0]["original"] / mine[0]["decode_seconds"] / 1e9
                yield at_least("lossless decoding, minilm, f32, GB/s", rate, LOSSLESS_DECODE)
    if any(name in ours.LOSSLESS for name in results.programs()):
        shown = ", ".join(f"{source} {kind}" for source, kind in larger) or "none"
        yield Bar("lossless, models on which a peer is smaller", shown, "none", not larger)


def all_bars(results):
    return [*of_gaussian(results), *of_models(results), *of_speed(results), *of_lossless(results)]
