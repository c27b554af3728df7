#!/usr/bin/env python3
"""Restores a model from a packed file (.wcz), by docs/format.md and nothing else of this repository.

    python decode.py PACKED.wcz OUT [BASE.safetensors]

OUT is the model's file, or the folder for a model of several files; it must not exist. BASE is the model that it was packed
against, where there was one. Section numbers are those of
format.md. Needs numpy, Pillow, PyAV and soundfile, h5py for compressed HDF5 files and imagecodecs for JPEG XL; hashes are checked
when xxhash is installed too. This decoder is short
rather than fast or thrifty: it holds a model's files in memory.
"""

import io
import json
import math
import os
import re
import sys
import zipfile

import numpy as np

try:
    import xxhash
except ImportError:
    xxhash = None


class FormatError(Exception):
    """The file breaks a rule of format.md."""


def check(condition, message):
    if not condition:
        raise FormatError(message)


def check_hash(data, expected, what):
    """XXH3-128 of `data` (section 2)."""
    if xxhash:
        check(xxhash.xxh3_128_hexdigest(data) == expected, f"{what}: its hash is not {expected}")


def check_distinct(names, what):
    check(len(set(names)) == len(names), f"{what}: a name that occurs twice")


def read_json(data, what):
    """An object in UTF-8 without a byte order mark, no name twice in it or in those within (section 4)."""

    def distinct(pairs):
        check_distinct([name for name, _ in pairs], what)
        return dict(pairs)

    def refuse(constant):
        raise FormatError(f"{what}: {constant} is no JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=distinct, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what}: {error}") from None


# 1. Container


def open_container(path):
    """Checks the trailer and returns the ZIP's entries as a function from name to bytes."""
    with open(path, "rb") as file:
        data = file.read()
    # The end record's comment is the trailer and no more: a longer one could hold an end record of its own.
    check(data[-72:-68] == b"PK\x05\x06" and data[-52:-50] == b"\x32\0", f"{path}: not a packed file, or truncated")
    trailer = re.fullmatch(rb"wcodec 1 xxh3-128 ([0-9a-f]{32})", data[-50:])
    check(data[:4] == b"PK\x03\x04" and trailer, f"{path}: not a packed file, or truncated")
    check_hash(memoryview(data)[:-32], trailer[1].decode(), path)
    archive = zipfile.ZipFile(io.BytesIO(data))
    check_distinct(archive.namelist(), "entries")

    def entry(name, may_be_deflated=False):
        info = archive.getinfo(name)
        kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if may_be_deflated else (zipfile.ZIP_STORED,)
        check(info.compress_type in kinds, f"{name}: expected a stored entry")
        # Deflate codes at most 1032 bytes in one: a reader of more would be at a forger's mercy.
        check(info.file_size // 1032 <= info.compress_size, f"{name}: {info.file_size} bytes")
        return archive.read(info)

    return entry


# 5. Streams: each function gives the frames of one as arrays of bins


def split_frames(picture, stream):
    """The frames that stand one above the other in a picture."""
    frames = stream.get("frames", 1)
    check(len(picture) % frames == 0, f"{stream['entry']}: a picture of another size")
    return np.split(picture, frames)


def read_png(data, stream):
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    picture = Image.open(io.BytesIO(data))
    # Pillow gives 2- and 4-bit samples repeated to fill 8 bits, so in every mode the bin is in the uppermost bits.
    samples = np.asarray(picture)
    depth = {"1": 1, "L": 8, "I;16": 16, "I;16B": 16, "I": 16}.get(picture.mode)
    check(depth is not None, f"{stream['entry']}: expected a gray picture, found mode {picture.mode}")
    return split_frames(samples.astype(np.uint16) >> (depth - stream["bits"]), stream)


def read_jxl(data, stream, parameters):
    import imagecodecs

    n = stream["bits"]
    samples = imagecodecs.jpegxl_decode(data).astype(np.int64)
    center = int(parameters.get("center", 1 << n - 1))
    bins = center + np.where(samples % 2 == 0, samples // 2, -(samples + 1) // 2)
    return split_frames((bins % (1 << n)).astype(np.uint16), stream)


def read_video(data, stream, codec, is_lossless, pack):
    import av

    n, width = stream["bits"], -(-stream["width"] // pack)
    depths = {"utvideo": [8], "ffv1": [8, 9, 10, 12, 16], "h264": [8, 10]}.get(codec, [8, 10, 12])
    least = n if is_lossless else max(n, 10 if codec == "av1" else 8)
    depth = min(d for d in depths if d >= least)
    shift = 0 if is_lossless and codec != "utvideo" else depth - n
    frames = []
    with av.open(io.BytesIO(data), format="matroska") as container:
        for picture in container.decode(container.streams.video[0]):
            for plane in picture.planes[: 3 if codec == "utvideo" else 1]:
                row = np.frombuffer(plane, "<u2" if depth > 8 else "u1").reshape(plane.height, -1)
                samples = row[: stream["height"], :width].astype(np.uint32)
                if pack == 2:
                    samples = np.dstack([samples & 0xF0, samples << 4 & 0xF0]).reshape(stream["height"], -1)
                    samples = samples[:, : stream["width"]]
                rounded = samples + (1 << shift >> 1) >> shift
                frames.append(np.minimum(rounded, (1 << n) - 1).astype(np.uint16))
    check(0 <= len(frames) - stream["frames"] < (3 if codec == "utvideo" else 1), f"{stream['entry']}: other frames")
    return frames[: stream["frames"]]


def unpack_pairs(samples, bits, silence):
    """The bins of samples that stand for two each."""
    differences = np.arange(-(1 << bits - 1), 1 << bits - 1)
    order = np.argsort(np.add.outer(differences**2, differences**2), axis=None, kind="stable")
    pairs = order[np.where(samples < 0, -2 * samples - 1, 2 * samples)]
    bins = differences[np.stack([pairs >> bits, pairs % (1 << bits)], axis=1)] + silence
    return (bins % (1 << bits)).astype(np.uint16).reshape(1, -1)


def read_audio(data, stream, codec, is_lossless, pack):
    import soundfile

    middle, depth = 1 << (stream["bits"] - 1), pack * stream["bits"]
    if is_lossless:
        # soundfile gives 8-bit samples in the upper byte.
        with soundfile.SoundFile(io.BytesIO(data)) as track:
            silence = re.fullmatch("silence=([0-9]+)", track.comment)
            samples = track.read(dtype="int16")
        bins = samples.astype(np.int32) >> (8 if depth <= 8 else 0)
        if pack == 2:
            return [unpack_pairs(bins, stream["bits"], int(silence[1]) if silence else middle)[:, : stream["width"]]]
        if silence:
            modulus = 256 if stream["bits"] <= 8 else 65536
            return [((bins + int(silence[1])) % modulus).astype(np.uint16).reshape(1, -1)]
    else:
        samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        bins = np.clip(np.floor(samples * np.float32(middle)), -middle, middle - 1).astype(np.int32)
    return [np.clip(bins + middle, 0, 2 * middle - 1).astype(np.uint16).reshape(1, -1)]


VIDEO = ("utvideo", "ffv1", "h264", "hevc", "av1", "vp9")


def read_stream(data, stream):
    check_hash(data, stream["hash"], stream["entry"])
    codec, *parameters = re.split("[:,]", stream["codec"])
    parameters = dict(parameter.split("=") for parameter in parameters)
    is_lossless, pack = "qp" not in parameters, int(parameters.get("pack", 1))
    if codec == "png":
        frames = read_png(data, stream)
    elif codec == "jxl":
        frames = read_jxl(data, stream, parameters)
    elif codec in VIDEO:
        frames = read_video(data, stream, codec, is_lossless, pack)
    elif codec in ("flac", "wav", "vorbis", "opus", "mp3"):
        frames = read_audio(data, stream, codec, codec in ("flac", "wav"), pack)
    else:
        raise FormatError(f"{stream['entry']}: unknown codec {codec}")
    for frame in frames:
        check(frame.shape == (stream["height"], stream["width"]), f"{stream['entry']}: a picture of another size")
    return frames


# 6. Layers


PICTURE, ROWS, COLUMNS = ("stack", "direction", "gate"), ("output", "kernelZ", "kernelY"), ("group", "input", "kernelX")
CHANNEL = PICTURE + ("output", "group")


def offsets(axes, roles):
    """Offsets in memory of every combination of the axes with one of `roles`, the first role slowest."""
    table = np.zeros(1, np.int64)
    for role in roles:
        for i, (name, count) in enumerate(axes):
            if name == role:
                stride = math.prod(size for _, size in axes[i + 1 :])
                table = (table[:, None] + np.arange(count) * stride).ravel()
    return table


def block_offsets(slow, fast, slow_start, fast_start, slow_count, fast_count, outside):
    """Offsets of the rows or columns of one block; `outside` beyond the layer's edge."""
    slow = np.append(slow, np.full(slow_count, outside))[slow_start : slow_start + slow_count]
    fast = np.append(fast, np.full(fast_count, outside))[fast_start : fast_start + fast_count]
    return np.minimum(slow[:, None] + fast, outside).ravel()


def read_layer(packed, count, medium, frames):
    """The bins of a layer in memory order (6.2 to 6.4)."""
    axes = packed["axes"]
    outputs, kernel_rows = offsets(axes, ROWS[:1]), offsets(axes, ROWS[1:])
    inputs, kernel_columns = offsets(axes, COLUMNS[:2]), offsets(axes, COLUMNS[2:])
    whole = [len(inputs), len(outputs), len(kernel_columns), len(kernel_rows)]
    bfin, bfout, bx, by = block = packed["block"] if medium == "video" else whole
    check(all(0 < side <= limit for side, limit in zip(block, whole)), f"block {block} of {whole}")
    bins, outside = np.zeros(count, np.uint16), math.prod(size for _, size in axes)
    # Pictures that lie on their side (6.2).
    is_transposed = packed.get("transposed", False)
    check(medium == "image" or not is_transposed, "a transposed frame that is no image")
    frames = (frame.T if is_transposed else frame for frame in frames)
    track = next(frames).ravel() if medium == "audio" else None
    for matrix in offsets(axes, PICTURE):
        for fout in range(0, whole[1], bfout):
            for ky in range(0, whole[3], by):
                for fin in range(0, whole[0], bfin):
                    for kx in range(0, whole[2], bx):
                        rows = block_offsets(outputs, kernel_rows, fout, ky, bfout, by, outside)
                        columns = block_offsets(inputs, kernel_columns, fin, kx, bfin, bx, outside)
                        places = matrix + rows[:, None] + columns
                        # The second condition: rows[y] + columns[x] may be a place although one of them is outside.
                        inside = (places < count) & (rows[:, None] < outside) & (columns < outside)
                        if track is None:
                            frame = next(frames, np.empty((0, 0)))
                            check(frame.shape == inside.shape, f"a frame of {frame.shape}, expected {inside.shape}")
                            bins[places[inside]] = frame[inside]
                        else:
                            taken = np.count_nonzero(inside)
                            check(taken <= len(track), "a track that ends early")
                            bins[places[inside]], track = track[:taken], track[taken:]
    return bins


# 7. Weights


def read_ranges(encoding, data, channels, bits):
    if encoding == "zero":
        width = 2 if bits > 8 else 1
        check(len(data) == 4 + (1 + width) * channels, "ranges of another size")
        codes = np.frombuffer(data, np.uint8, channels, offset=4)
        zeros = np.frombuffer(data, f"<u{width}", channels, offset=4 + channels).astype(np.float64)
        steps = np.ldexp((32 - (codes & 15)) / 32, -(codes >> 4).astype(int))
        steps[codes == 255] = 0
        steps *= np.frombuffer(data, "<f4", 1).astype(np.float64)
        check(np.all(zeros < 1 << bits) and np.all(steps >= 0), "impossible ranges")
        bounds = np.concatenate([-(zeros + 0.5) * steps, ((1 << bits) - zeros - 0.5) * steps])
    elif encoding == "minifloat":
        check(len(data) == 8 + 2 * channels, "ranges of another size")
        codes = np.frombuffer(data, np.uint8, offset=8)
        magnitudes = np.ldexp((16 - (codes & 7)) / 16, -(codes >> 3).astype(int))
        magnitudes[codes == 255] = 0
        bounds = np.frombuffer(data, "<f8", 1) * magnitudes
        bounds[:channels] *= -1
    else:
        bounds = np.frombuffer(data, {"float32": "<f4", "float64": "<f8"}[encoding]).astype(np.float64)
    lows, highs = bounds[:channels], bounds[channels:]
    check(len(highs) == channels and np.all(lows <= highs) and np.all(np.isfinite(highs - lows)), "impossible ranges")
    return lows, highs


def channel_axes(axes):
    """Where the axes that make the channels begin and end; the same place without any (7.1)."""
    is_channel = [role in CHANNEL for role, _ in axes]
    if True in is_channel:
        first, last = is_channel.index(True), len(is_channel) - is_channel[::-1].index(True)
        if all(is_channel[first:last]):
            return first, last
    return 0, 0


def channel_layout(axes, count, by_channel):
    """Number of channels, and of weights that follow each other within one (7.1)."""
    first, last = channel_axes(axes)
    if by_channel and first < last:
        counts = [size for _, size in axes]
        return math.prod(counts[first:last]), math.prod(counts[last:])
    return 1, count


def restore_uniform(bins, axes, bits, ranges, quantizer, parameters):
    """Weights of a uniform quantizer (7.1 to 7.3)."""
    channels, inner = channel_layout(axes, len(bins), quantizer["range"] == "channel")
    means = 1 << bits if quantizer["reconstruct"] == "mean" else 0
    lows, highs = read_ranges(ranges, parameters[: len(parameters) - means], channels, bits)
    fractions = (np.frombuffer(parameters[len(parameters) - means :], np.uint8) + 0.5) / 256 if means else None

    # The last row of a folded layer may be short.
    padded = np.zeros(-(-len(bins) // (channels * inner)) * channels * inner, np.uint16)
    padded[: len(bins)] = bins
    padded = padded.reshape(-1, channels, inner)
    steps = (highs - lows) / (1 << bits)
    positions = padded + (fractions[padded] if means else 0.5)
    return (lows[:, None] + positions * steps[:, None]).ravel()[: len(bins)]


def restore_fixed_point(bins, axes, bits, quantizer, parameters):
    """Weights of the quantizers fixed and scaled (7.4)."""
    scope = re.fullmatch("layer|channel|group:([1-9][0-9]*)", quantizer["range"])
    check(scope and 2 <= bits <= 16, f"{quantizer['range']}: not a range of {bits}-bit numbers")
    channels, inner = channel_layout(axes, len(bins), scope[0] != "layer")
    place = np.arange(len(bins))
    channel = place // inner % channels
    place = place // (inner * channels) * inner + place % inner
    most = -(-len(bins) // (inner * channels)) * inner
    block = min(int(scope[1] or most), most)

    encodings = {"fixed": ["int8", "int16"], "scaled": ["bfloat16", "float32", "float64"]}[quantizer["name"]]
    check(quantizer["precision"] in encodings, f"unknown precision {quantizer['precision']}")
    if quantizer["precision"] == "bfloat16":
        numbers = (np.frombuffer(parameters, "<u2").astype("<u4") << 16).view("<f4")
    else:
        kinds = {"int8": "i1", "int16": "<i2", "float32": "<f4", "float64": "<f8"}
        numbers = np.frombuffer(parameters, kinds[quantizer["precision"]])
    if quantizer["name"] == "fixed":
        check(np.all(numbers >= -1074) and np.all(numbers <= 1023), "impossible exponents")
        steps = np.ldexp(1.0, numbers.astype(int))
    else:
        steps = numbers.astype(np.float64)
        check(np.all(steps > 0) and np.all(np.isfinite(steps)), "impossible scales")
    check(len(steps) == -(-most // block) * channels, "another number of precisions")
    return (bins.astype(np.float64) - (1 << bits - 1)) * steps[place // block * channels + channel]


# Polynomials of the trellises by number of states (7.5.3).
TRELLISES = {1: (0, 0), 4: (0o5, 0o2), 8: (0o13, 0o4), 16: (0o23, 0o4), 32: (0o45, 0o10)}
TRELLISES |= {64: (0o103, 0o24), 128: (0o235, 0o126), 256: (0o515, 0o362)}


def walk_trellis(planes, bits, count, states, run=65536):
    """Points of the grid, 2k + u, of all weights in the order of their indices, in runs of so many (7.5.2, 7.5.3)."""
    check(states in TRELLISES, f"{states} states")
    h0, h1 = TRELLISES[states]
    following = [s >> 1 ^ (s & 1) * (h0 >> 1) ^ parity * (h1 >> 1) for s in range(states) for parity in (0, 1)]
    first, total = len(planes[0]), sum(map(len, planes))
    check(2 <= bits <= 16 and total >= count, "planes of too few samples")
    check(len(planes) == 1 or len(planes) == 2 and first <= count, "other planes than those of a trellis")
    is_split, has_digits = first < count, total > count
    samples = np.concatenate(planes).tolist()
    middle, top = 1 << bits - 1, (1 << bits) - 1
    places, ends, digits = [0, first], [min(first, count), count], count
    points, state = [], 0
    for i in range(count):
        if i % run == 0:
            state = 0
        union = state & 1
        plane = union if is_split else 0
        check(places[plane] < ends[plane], "a plane that ends early")
        sample = samples[places[plane]]
        places[plane] += 1
        k = sample - middle
        if has_digits and sample in (0, top):
            digit = top
            while digit == top:
                check(digits < total, "digits that end early")
                digit = samples[digits]
                digits += 1
                k += digit if sample else -digit
        points.append(2 * k + union)
        state = following[2 * state + (k & 1)]
    is_whole = places[0] == ends[0] and (not is_split or places[1] == ends[1])
    check(is_whole and digits == total, "samples that are left")
    return np.array(points, np.int64)


def add_predictions(points, lag, coefficients):
    """Adds to points, one row for each place, what the places before predict (7.5.4)."""
    for place in range(len(points)):
        total = np.full(points.shape[1], 64)
        for tap, values in enumerate(coefficients, start=1):
            if place >= tap * lag:
                total += values * points[place - tap * lag]
        points[place] += 2 * np.clip(total >> 7, -8191, 8191)


def restore_trellis(planes, bits, axes, count, quantizer, parameters):
    """Weights of the quantizer trellis (7.5)."""
    channels, inner = channel_layout(axes, count, True)
    length = -(-count // (inner * channels)) * inner
    offset = np.arange(count)
    channel, place = offset // inner % channels, offset // (inner * channels) * inner + offset % inner

    sorting, centering = quantizer.get("sorted"), quantizer.get("centers")
    stepping = quantizer.get("steps")
    check(stepping in (None, "channels"), f"steps of {stepping}")
    check(sorting in (None, "channels", "both"), f"sorted by {sorting}")
    check(centering in (None, "channels", "places"), f"centers of {centering}")
    check(not (sorting or stepping) or channels * length == count, "a layer that cannot be sorted, or have steps")
    order, lag = quantizer.get("order"), quantizer.get("lag")
    if order is not None or lag is not None:
        check(order in (1, 2, 3, 4) and type(lag) is int and 1 <= lag < length, f"order {order}, lag {lag}")
        check(not sorting and not centering and channels * length == count, "a layer that cannot be predicted")
        check(channels <= 65536, "more channels than a run")
    sizes = [4, channels if stepping else 0, channels if sorting else 0, length if sorting == "both" else 0]
    sizes.append({None: 0, "channels": channels, "places": length}[centering])
    sizes.append(order * channels if order else 0)
    check(len(parameters) == sum(sizes), "parameters of another size")
    step, finer, *classes, centers, coefficients = (parameters[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(6))
    step = float(np.frombuffer(step, "<f4")[0])
    check(0 < step < math.inf, f"a step of {step}")
    if stepping:
        steps = step * 2.0 ** -np.frombuffer(finer, np.uint8).astype(int)
        step = steps.astype(np.float32).astype(np.float64)[channel]
    if order:
        coefficients = np.frombuffer(coefficients, np.int8).astype(np.int64).reshape(order, channels)
        walked = walk_trellis(planes, bits, count, quantizer["states"], channels).reshape(length, channels)
        add_predictions(walked, lag, coefficients)
        return walked[place, channel] * step
    by_channel, by_place = (np.frombuffer(values, np.uint8).astype(int) for values in classes)

    # The last key comes first.
    keys = [place, channel]
    if sorting == "channels":
        first, last = channel_axes(axes)
        while first < last and axes[first][0] in PICTURE:
            first += 1
        is_mixed = any(role in PICTURE for role, _ in axes[first:last])
        per_matrix = 1 if is_mixed else math.prod(size for _, size in axes[first:last])
        keys += [by_channel[channel], channel // per_matrix]
    elif sorting == "both":
        keys.append(by_channel[channel] + by_place[place])
    points = np.empty(count, np.int64)
    points[np.lexsort(keys)] = walk_trellis(planes, bits, count, quantizer["states"])
    if centering:
        values = np.frombuffer(centers, np.int8).astype(int)
        points += 2 * values[channel if centering == "channels" else place]
    return points * step


# Bits of a type's numbers and of their mantissas (7.6).
FLOATS = {"F64": (64, 52), "F32": (32, 23), "F16": (16, 10), "BF16": (16, 7), "F8_E4M3": (8, 3), "F8_E5M2": (8, 2)}


class Parameters:
    """Reads the parameters of the quantizers exact and delta."""

    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, count):
        check(count <= len(self.data) - self.position, "parameters end early")
        self.position += count
        return np.frombuffer(self.data, np.uint8, count, self.position - count)

    def number(self, low, high):
        value, shift = 0, 0
        while True:
            byte = int(self.take(1)[0])
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                check(low <= value <= high, f"{value} is not from {low} to {high}")
                return value
            check(shift < 63, "a number of too many bytes")


class BitPlanes:
    """Words of `bits` bits in a run of bytes (7.6.1)."""

    def __init__(self, parameters, count, bits):
        self.count, self.bits = count, bits
        self.low = parameters.number(0, bits - 1)
        zero = parameters.number(0, self.low)
        self.step = parameters.number(0, 7)
        self.base = parameters.number(0, 0xFFFF)
        self.escapes = parameters.number(0, count)
        self.high = min(bits - 1 - self.low, 15)
        places = [(8, self.low)]
        for start, end in (zero, self.low), (self.low + self.high, bits - 1):
            while start < end:
                width = next(width for width in (8, 4, 2, 1) if width <= end - start)
                places.append((width, start))
                start += width
        places.append((1, bits - 1))
        stored = [parameters.number(0, 1) == 0 for _ in places]
        check(any(stored), "nothing is stored")
        values = [None if is_stored else int(parameters.take(1)[0]) for is_stored in stored]
        check(all(value is None or value < 1 << width for value, (width, _) in zip(values, places)), "a large constant")
        self.sections = [(width, place, value) for (width, place), value in zip(places, values)]
        kinds = parameters.number(0, 3)
        columns = parameters.number(1, min(count, 1 << 20)) if kinds else count
        check(count % columns == 0, "rows that do not fill the tensor")
        rows = parameters.take(count // columns) if kinds & 1 else np.zeros(count // columns, np.uint8)
        places = parameters.take(columns) if kinds & 2 else np.zeros(columns, np.uint8)
        self.scales = (rows[:, None].astype(int) + places).ravel()

    def restore(self, run):
        """The words, and the rest of the run."""
        words = np.zeros(self.count, np.uint64)
        symbols = None
        for width, place, value in self.sections:
            if value is None:
                size = -(-self.count * width // 8)
                check(len(run) >= size, "a run that ends early")
                packed, run = run[:size], run[size:]
                shifts = np.arange(0, 8, width, dtype=np.uint8)
                numbers = (packed[:, None] >> shifts & (0xFF >> 8 - width)).ravel()[: self.count]
            else:
                numbers = np.full(self.count, value, np.uint8)
            if symbols is not None:
                words |= numbers.astype(np.uint64) << np.uint64(place)
            elif value is None:
                # By class, then in memory order.
                symbols = np.zeros(self.count, np.uint8)
                symbols[np.argsort(self.scales % 4, kind="stable")] = numbers
            else:
                symbols = numbers
        check(len(run) >= 2 * self.escapes, "a run that ends early")
        escapes, run = run[: 2 * self.escapes].view("<u2"), run[2 * self.escapes :]
        highs = self.base + symbols.view(np.int8).astype(int) - (self.scales // 4 << self.step)
        highs[symbols == 128] = 0
        check(np.count_nonzero(symbols == 127) == self.escapes, "another number of words without symbol")
        highs[symbols == 127] = escapes
        words |= (highs & (1 << self.high) - 1).astype(np.uint64) << np.uint64(self.low)
        return words, run


def restore_exactly(run, dtype, count, quantizer, data, base):
    """The bytes of a tensor of the quantizers exact (7.6.2) and delta (7.6.3)."""
    check(dtype in FLOATS, f"{dtype} is no floating-point type")
    bits, mantissa = FLOATS[dtype]
    parameters = Parameters(data)
    run = np.frombuffer(run.astype(np.uint8).tobytes(), np.uint8)
    if quantizer["name"] == "delta":
        check(base is not None and len(base) == count * bits // 8, "expected the base that it was packed against")
        check_hash(base, quantizer["base"], "base")
        base = np.frombuffer(base, f"<u{bits // 8}").astype(np.uint64)
        exponents = (base >> np.uint64(mantissa)).astype(int) & (1 << bits - 1 - mantissa) - 1
        parts = []
        for number in range(parameters.number(1, 1 << bits - 1 - mantissa)):
            first = parameters.number(parts[-1][0] + 1 if parts else 0, 1 << bits if parts else 0)
            parts.append((first, BitPlanes(parameters, parameters.number(1, count), bits)))
        moved = np.zeros(count, np.uint64)
        for (first, planes), end in zip(parts, [first for first, _ in parts[1:]] + [1 << bits]):
            words, run = planes.restore(run)
            mine = (first <= exponents) & (exponents < end)
            check(np.count_nonzero(mine) == len(words), "another number of words in a part")
            moved[mine] = words
        mask, top = np.uint64((1 << bits) - 1), np.uint64(bits - 1)

        def counted(words):
            return words ^ np.where(words >> top, mask >> np.uint64(1), np.uint64(0))

        # Whole numbers wrap around at 2^64, and so at 2^bits.
        distance = moved >> np.uint64(1) ^ np.uint64(0) - (moved & np.uint64(1))
        words = counted(counted(base) + distance & mask)
    elif parameters.number(0, 1):
        group, values = parameters.number(2, 256), parameters.number(1, count)
        planes = BitPlanes(parameters, values, bits)
        numbers = run[:count]
        values, run = planes.restore(run[count:])
        words, used = np.zeros(count, np.uint64), 0
        for start in range(0, count, group):
            first = used
            for place in range(start, min(start + group, count)):
                check(numbers[place] <= used - first, "a number beyond its table")
                used += numbers[place] == used - first
                check(used <= len(values), "values that end early")
                words[place] = values[first + numbers[place]]
        check(used == len(values), "values that are left")
    else:
        words, run = BitPlanes(parameters, count, bits).restore(run)
    check(len(run) == 0 and parameters.position == len(data), "bytes that are left")
    return words.astype(f"<u{bits // 8}").tobytes()


def restore_bytes(samples, dtype, count):
    """The bytes of a tensor of the quantizer bytes (7.6.4)."""
    check(dtype in FLOATS, f"{dtype} is no floating-point type")
    size = FLOATS[dtype][0] // 8
    check(len(samples) == count * size, f"a plane of {len(samples)} samples")
    planes = np.ascontiguousarray(samples.astype(np.uint8).reshape(size, count).T)
    words = planes.view(f">u{size}").ravel()
    return (words >> 1 | words << 8 * size - 1).astype(f"<u{size}").tobytes()


def store(weights, dtype):
    """The bytes of weights in a tensor's type (7.3)."""
    if dtype == "F64":
        return weights.astype("<f8").tobytes()
    weights = weights.astype("<f4")
    if dtype == "F32":
        return weights.tobytes()
    if dtype == "F16":
        return weights.astype("<f2").tobytes()
    check(dtype == "BF16", f"unknown type {dtype}")
    bits = weights.view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def plane_axes(plane, axes):
    """The axes by which a plane's samples are placed (6.5)."""
    shape, count = plane["shape"], plane.get("count")
    check(("width" in plane) == (shape == "rows"), f"a plane of shape {shape}, with or without a width")
    if shape == "channels":
        first, last = channel_axes(axes)
        return axes[first:last] + axes[:first] + axes[last:]
    if shape == "layer":
        return axes
    check(shape in ("run", "strip", "rows") and count > 0, f"a plane of shape {shape} and {count} samples")
    height = -(-count // 8192)
    width = -(-count // height) if shape == "strip" else math.isqrt(count - 1) + 1
    if shape == "rows":
        width = plane["width"]
        check(0 < width <= count, f"rows of {width} samples")
    return [["output", -(-count // width)], ["input", width]]


FILMS = ("uniform", "fixed", "scaled", "bytes")


def frame_count(plane, axes):
    """The number of a video plane's frames (6.3)."""
    axes = plane_axes(plane, axes)
    sides = [len(offsets(axes, roles)) for roles in (COLUMNS[:2], ROWS[:1], COLUMNS[2:], ROWS[1:], PICTURE)]
    return math.prod(-(-side // block) for side, block in zip(sides, plane["block"] + [1]))


def check_planes(tensors, streams):
    """Planes fill the streams in order, and a film's planes its frames (4)."""

    def first(tensor):
        plane = tensor["packed"]["planes"][0]
        return plane["stream"], plane.get("frame", 0)

    check(all(tensor["packed"]["planes"] for tensor in tensors), "a tensor without planes")
    following, film, frame = 0, None, 0
    for tensor in sorted(tensors, key=first):
        planes = tensor["packed"]["planes"]
        if "frame" in planes[0]:
            is_first = film != planes[0]["stream"]
            if is_first:
                check(film is None or frame == streams[film]["frames"], "a film with frames that are left")
                film, frame = planes[0]["stream"], 0
            is_alone = len(planes) == 1 and planes[0]["streams"] == 1 and film < len(streams)
            check(is_alone and tensor["packed"]["quantizer"]["name"] in FILMS, f"tensor {tensor['name']}: no film")
            check(re.split("[:,]", streams[film]["codec"])[0] in VIDEO, f"tensor {tensor['name']}: no film")
            check(planes[0]["frame"] == frame, f"tensor {tensor['name']}: a film with a gap")
            frame += frame_count(planes[0], tensor["packed"]["axes"])
            if not is_first:
                continue
        for plane in planes:
            is_next = plane["stream"] == following and 0 < plane["streams"] <= len(streams) - following
            check(is_next and ("frame" in plane) == ("frame" in planes[0]), "streams that planes do not fill in order")
            following += plane["streams"]
    check(film is None or frame == streams[film]["frames"], "a film with frames that are left")
    check(following == len(streams), "streams that planes do not fill in order")


def read_plane(plane, axes, count, streams, entry, films):
    """The samples of a plane of a layer of `count` weights; `films` keeps the frames of those by stream."""
    used = streams[plane["stream"] : plane["stream"] + plane["streams"]]
    check(all(stream["bits"] == plane["bits"] for stream in used), "a plane of other bits than its streams")
    codec = re.split("[:,]", used[0]["codec"])[0]
    medium = "image" if codec in ("png", "jxl") else "video" if codec in VIDEO else "audio"
    if "frame" in plane:
        if plane["stream"] not in films:
            films[plane["stream"]] = read_stream(entry(used[0]["entry"]), used[0])
        frames = films[plane["stream"]][plane["frame"] : plane["frame"] + frame_count(plane, axes)]
    else:
        frames = [frame for stream in used for frame in read_stream(entry(stream["entry"]), stream)]
    layout = {"axes": plane_axes(plane, axes), "block": plane.get("block"), "transposed": plane.get("transposed", False)}
    samples = plane.get("count", count)
    check(samples <= sum(frame.size for frame in frames), f"a plane of {samples} samples in fewer")
    return read_layer(layout, samples, medium, frames)


def restore_planes(tensor, streams, entry, parameters, base, films):
    """The bytes of a tensor of version 3; `base` gives those of what it was packed against."""
    packed, count = tensor["packed"], math.prod(tensor["shape"])
    quantizer, axes, planes = packed["quantizer"], packed["axes"], packed["planes"]
    name, bits, shapes = quantizer["name"], planes[0]["bits"], [plane["shape"] for plane in planes]
    check(all(plane["bits"] == bits for plane in planes), "planes of different bits")
    samples = [read_plane(plane, axes, count, streams, entry, films) for plane in planes]
    if name == "trellis":
        check(set(shapes) <= {"channels", "run"}, f"planes of shapes {shapes}")
        weights = restore_trellis(samples, bits, axes, count, quantizer, parameters)
        return store(weights, tensor["dtype"])
    if name in ("exact", "delta"):
        check(shapes == ["strip"] and bits == 8, f"planes of shapes {shapes}")
        return restore_exactly(samples[0], tensor["dtype"], count, quantizer, parameters, base(tensor, quantizer))
    if name == "bytes":
        check(shapes == ["rows"] and bits == 8 and not parameters, f"planes of shapes {shapes}")
        return restore_bytes(samples[0], tensor["dtype"], count)
    check(shapes in (["layer"], ["rows"]) and len(samples[0]) == count, f"planes of shapes {shapes}")
    if name == "uniform":
        weights = restore_uniform(samples[0], axes, bits, quantizer["ranges"], quantizer, parameters)
    else:
        check(name in ("fixed", "scaled"), f"unknown quantizer {name}")
        weights = restore_fixed_point(samples[0], axes, bits, quantizer, parameters)
    return store(weights, tensor["dtype"])


# 8. Files


BITS = dict.fromkeys("BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ".split(), 8)
BITS |= dict.fromkeys("I16 U16 F16 BF16".split(), 16) | dict.fromkeys("I32 U32 F32 C32".split(), 32)
BITS |= dict.fromkeys("I64 U64 F64 C64".split(), 64) | {"C128": 128}


def read_bytes(name, blob, entry):
    """The bytes that a picture holds (7.2)."""
    data = entry(name)
    check_hash(data, blob["hash"], name)
    picture = read_png(data, {"entry": name, "bits": 8})[0]
    check(picture.size >= blob["bytes"], f"{name}: fewer bytes")
    return picture.astype(np.uint8).tobytes()[: blob["bytes"]]


def restore_kept(data, tensors):
    """The bytes of each of the tensors that are in kept.png (8.1)."""
    check(all("kept" in tensor and "inSkeleton" not in tensor for tensor in tensors), "kept.png: other tensors")
    check(all(tensor["dtype"] in FLOATS for tensor in tensors), "kept.png: other types")
    sizes = [BITS[tensor["dtype"]] // 8 for tensor in tensors]
    counts = [math.prod(tensor["shape"]) for tensor in tensors]
    check(len(data) == len(tensors) + sum(map(math.prod, zip(sizes, counts))), "kept.png: another size")
    data = np.frombuffer(data, np.uint8)
    words = [np.zeros(count, f"<u{size}") for size, count in zip(sizes, counts)]
    position = len(tensors)
    for place in range(8):
        for number, (size, count) in enumerate(zip(sizes, counts)):
            if place < size:
                digits = data[position : position + count]
                if place == 0:
                    digits = digits + data[number]
                words[number] |= digits.astype(words[number].dtype) << (8 * (size - 1 - place))
                position += count
    return [(word >> 1 | word << (8 * size - 1)).astype(word.dtype).tobytes() for word, size in zip(words, sizes)]


def layouts_of(packed):
    """The objects that say how a packed tensor's samples lie in frames."""
    return packed.get("planes", [packed])


def read_base(path):
    """The tensors of a safetensors file: bytes, type and shape by name."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    described = read_json(data[8:start], path)
    described.pop("__metadata__", None)
    places = {name: tensor["data_offsets"] for name, tensor in described.items()}
    return {
        name: (data[start + places[name][0] : start + places[name][1]], tensor["dtype"], tensor["shape"])
        for name, tensor in described.items()
    }


def restore(path, base_tensors=None):
    """The model's files, as pairs of name and bytes, and whether they are restored into a folder."""
    entry = open_container(path)
    manifest = read_json(entry("manifest.json", may_be_deflated=True), "manifest.json")
    described = manifest["source"]["files"]
    has_planes = any("planes" in tensor.get("packed", {}) for tensor in manifest["tensors"])
    version = 3 if has_planes else 2 if any("recoding" in file for file in described) else 1
    layouts = [layout for tensor in manifest["tensors"] if "packed" in tensor for layout in layouts_of(tensor["packed"])]
    if "kept" in manifest or any("transposed" in layout for layout in layouts):
        version = 4
    check_distinct([stream["entry"].lower() for stream in manifest["streams"]], "streams")
    known = (manifest["format"], manifest["version"]) == ("wcodec", version)
    check(known and all("original" in file for file in described if "recoding" in file), f"{path}: unknown version")
    tensors = [tensor for tensor in manifest["tensors"] if not tensor.get("inSkeleton")]
    sizes = [math.prod(tensor["shape"]) * BITS[tensor["dtype"]] // 8 for tensor in tensors]

    files = []
    names = [file["name"] for file in manifest["source"]["files"]]
    folders = {name[: slash.start()] for name in names for slash in re.finditer("/", name)}
    check(names and len(set(names)) == len(names) and not folders & set(names), "file names that collide")
    for index, file in enumerate(manifest["source"]["files"]):
        name, rest = file["name"], entry("skeleton/" + file["name"], may_be_deflated=True)
        parts_fit = all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in name.split("/"))
        is_safe = parts_fit and len(name.encode()) <= 1024 and not re.search(r"[\\:\x00-\x1f\x7f]", name)
        check(is_safe, f"file name {name!r}")
        check_hash(rest, file["skeleton"], f"skeleton/{name}")
        data, position = bytearray(), 0
        for tensor, size in zip(tensors, sizes):
            if tensor["at"][0] == index:
                missing = tensor["at"][1] - len(data)
                check(0 <= missing <= len(rest) - position, f"tensor {tensor['name']}: not at a place of its own")
                data += rest[position : position + missing] + bytes(size)
                position += missing
        data += rest[position:]
        check(len(data) == file["size"], f"{name}: {len(data)} bytes, expected {file['size']}")
        files.append((name, data))

    def put(tensor, data):
        file, start = tensor["at"]
        files[file][1][start : start + len(data)] = data

    if "exact" in manifest:
        exact = entry("exact.safetensors", may_be_deflated=True)
        check_hash(exact, manifest["exact"], "exact.safetensors")
        position = 8 + int.from_bytes(exact[:8], "little")
        for tensor, size in zip(tensors, sizes):
            if "kept" in tensor and "inPicture" not in tensor:
                put(tensor, exact[position : position + size])
                position += size
        check(position == len(exact), "exact.safetensors: another size")

    in_picture = [tensor for tensor in manifest["tensors"] if "inPicture" in tensor]
    check(bool(in_picture) == ("kept" in manifest), "kept.png: no tensors in it, or none of it")
    if blob := manifest.get("kept"):
        for tensor, data in zip(in_picture, restore_kept(read_bytes("kept.png", blob, entry), in_picture)):
            put(tensor, data)

    blob = manifest.get("parameters")
    parameters = read_bytes("parameters.png", blob, entry) if blob else b""
    open_stream = (-1, [])

    def read_bins(tensor, packed):
        """The bins of a tensor of version 1 or 2."""
        nonlocal open_stream
        streams, first, frame = manifest["streams"], packed["stream"], packed["frame"]
        if manifest["medium"] == "image":
            used = streams[first : first + packed["frames"]]
            frames = (read_stream(entry(stream["entry"]), stream)[0] for stream in used)
        else:
            if open_stream[0] != first:
                open_stream = first, read_stream(entry(streams[first]["entry"]), streams[first])
            frames = open_stream[1][frame : frame + packed["frames"]]
        return read_layer(packed, math.prod(tensor["shape"]), manifest["medium"], frames)

    def base(tensor, quantizer):
        """The bytes that a tensor was packed against."""
        if "earlier" in quantizer:
            check(0 <= quantizer["earlier"] < manifest["tensors"].index(tensor), "a base that comes later")
            other = manifest["tensors"][quantizer["earlier"]]
            check((other["dtype"], other["shape"]) == (tensor["dtype"], tensor["shape"]), "a base of another kind")
            file, start = other["at"]
            return bytes(files[file][1][start : start + math.prod(other["shape"]) * BITS[other["dtype"]] // 8])
        data, *kind = (base_tensors or {}).get(tensor["name"], (None, tensor["dtype"], tensor["shape"]))
        check(kind == [tensor["dtype"], tensor["shape"]], f"tensor {tensor['name']}: a base of another kind")
        return data

    packed_tensors = [tensor for tensor in tensors if "packed" in tensor]
    if has_planes:
        check_planes(packed_tensors, manifest["streams"])
    else:
        packed_tensors.sort(key=lambda tensor: (tensor["packed"]["stream"], tensor["packed"]["frame"]))
    films = {}
    for tensor in packed_tensors:
        packed, streams = tensor["packed"], manifest["streams"]
        start, length = packed["parameters"]
        check(0 <= start <= start + length <= len(parameters), f"tensor {tensor['name']}: parameters elsewhere")
        own = parameters[start : start + length]
        if has_planes:
            first = packed["planes"][0]["stream"]
            data = restore_planes(tensor, streams, entry, own, base, films)
        else:
            first = packed["stream"]
            weights = restore_uniform(
                read_bins(tensor, packed), packed["axes"], packed["bits"], packed["ranges"], manifest["quantizer"], own)
            data = store(weights, tensor["dtype"])
        try:
            check_hash(data, packed["hash"], f"tensor {tensor['name']}")
        except FormatError as error:
            if not streams[first]["codec"].startswith(("vorbis", "opus", "mp3")):
                raise
            # Another build of a lossy audio decoder may round otherwise (5.3).
            print(f"warning: {error}: this machine decodes {streams[first]['codec']} otherwise", file=sys.stderr)
        put(tensor, data)
    is_folder = manifest["source"].get("directory") is True or len(files) > 1 or bool(folders)
    # 9. Recodings
    files = [
        (name, recode(data, file["recoding"]) if "recoding" in file else data)
        for (name, data), file in zip(files, described)
    ]
    return files, is_folder


# 9. Recodings


def recode(plain, recoding):
    """The file that a plain form stands for."""
    kinds = {"deflate": compress_entries, "hdf5-chunks": write_chunks}
    check(recoding["name"] in kinds, f"unknown recoding {recoding['name']}")
    return kinds[recoding["name"]](plain, recoding)


def compress_entries(plain, recoding):
    """A ZIP with some entries compressed."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as source, zipfile.ZipFile(result, "w") as target:
        chosen, entries = set(recoding["entries"]), source.infolist()
        check(len(chosen) == len(recoding["entries"]) and chosen <= set(range(len(entries))), "other entries")
        methods = recoding.get("methods", [zipfile.ZIP_DEFLATED] * len(chosen))
        check(len(methods) == len(chosen) and set(methods) <= {8, 12, 14}, "other methods")
        methods = dict(zip(recoding["entries"], methods))
        target.comment = source.comment
        for index, info in enumerate(entries):
            data = source.read(info)
            method = methods.get(index, info.compress_type)
            target.writestr(info, data, method, recoding["level"] if method == zipfile.ZIP_DEFLATED else 9)
    return result.getvalue()


def write_chunks(plain, recoding):
    """An HDF5 file with its chunked datasets written anew."""
    import h5py

    size, data, position = recoding["size"], bytearray(), 0
    for offset, length in recoding["gaps"] + [[recoding["size"], 0]]:
        taken = offset - len(data)
        check(0 <= taken <= len(plain) - position and 0 <= length <= size - offset, "gaps out of order")
        data += plain[position : position + taken] + bytes(length)
        position += taken
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        for described in recoding["datasets"]:
            node, path = file, described["path"]
            for part in path.split("/"):
                check(isinstance(node.get(part, getlink=True), h5py.HardLink), f"{path}: not reached by hard links")
                node = node[part]
            check(isinstance(node, h5py.Dataset) and node.chunks, f"{path}: not a dataset in chunks")
            start, length = described["at"]
            elements = np.frombuffer(plain[start : start + length], node.dtype).reshape(node.shape)
            blank = bytes(math.prod(node.chunks) * node.dtype.itemsize)
            for corner in np.ndindex(*(-(-count // side) for count, side in zip(node.shape, node.chunks))):
                place = tuple(i * side for i, side in zip(corner, node.chunks))
                node.id.write_direct_chunk(place, blank, filter_mask=0xFFFFFFFF)
            node[...] = elements
    return stream.getvalue()


def main(path, out, base=None):
    files, is_folder = restore(path, read_base(base) if base else None)
    if is_folder:
        os.mkdir(out)
    for name, data in files:
        target = os.path.join(out, name) if is_folder else out
        if is_folder:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "xb") as file:
            file.write(data)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (FormatError, OSError, KeyError) as error:
        sys.exit(f"decode.py: {error}")
