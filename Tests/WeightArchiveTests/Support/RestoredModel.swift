import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Compares a restored model with the original as a person who distrusts the reports would: byte by byte, and each packed
/// weight with the interval that its channel's stored range gives it.
///
/// - Parameters:
///   - original: the model that was packed.
///   - restored: the path of the restored one.
///   - packed: the packed file.
///   - slack: how many intervals a weight may be off: a half where intervals' middles come back exactly.
func expectFaithful(_ original: ModelFile, _ restored: String, _ packed: PackedModel, slack: Double = 0.5) throws {
    let copy = try ModelFiles.open(restored)
    #expect(copy.files.map(\.file.size) == original.files.map(\.file.size))
    #expect(copy.tensors == original.tensors)
    var changed: [Int: [Range<Int>]] = [:]
    for group in packed.valid.groups {
        for layer in group.layers {
            let tensor = packed.valid.manifest.tensors[layer.tensor]
            let record = try #require(original.tensors.first { $0.name == tensor.name })
            changed[record.extent.file, default: []].append(record.extent.range)
            let codebook = try #require(try packed.codebook(layer) as? UniformCodebook)
            let worst =
                record.dtype == .f64
                ? worstOffset(of: record, original, copy, Double.self, codebook)
                : worstOffset(of: record, original, copy, Float.self, codebook)
            #expect(worst <= slack, "\(tensor.name)")
        }
    }
    for checksum in original.checksums {
        for field in checksum.fields { changed[checksum.covered.file, default: []].append(field..<field + 4) }
        let bytes = copy.withBytes(of: checksum.covered) { Array($0) }
        for field in checksum.fields {
            let stored = copy.withBytes(of: Extent(file: checksum.covered.file, offset: field, length: 4)) { Array($0) }
            #expect(stored == littleEndian(crc32(bytes)))
        }
    }
    for (index, source) in original.files.enumerated() {
        var a = source.file.withBytes(0..<source.file.size) { Array($0) }
        var b = copy.files[index].file.withBytes(0..<source.file.size) { Array($0) }
        for range in changed[index, default: []] {
            let zeros = [UInt8](repeating: 0, count: range.count)
            a.replaceSubrange(range, with: zeros)
            b.replaceSubrange(range, with: zeros)
        }
        #expect(a == b, "bytes outside the packed tensors of \(source.name)")
    }
}

/// The largest error of a weight in intervals of its channel, beyond what rounding to the tensor's type explains.
private func worstOffset<Scalar: WeightScalar>(
    of tensor: TensorRecord, _ a: ModelFile, _ b: ModelFile, _: Scalar.Type, _ codebook: UniformCodebook
) -> Double {
    let ranges = codebook.ranges
    // Half a unit in the last place of each type, relative to the weight.
    let rounding: [DType: Double] = [.f64: 0x1p-53, .f32: 0x1p-24, .f16: 0x1p-11, .bf16: 0x1p-8]
    let relative = 2 * (rounding[tensor.dtype] ?? 0)
    var other = [Scalar](repeating: 0, count: tensor.count)
    TensorWeights<Scalar>(b, tensor).read(0..<tensor.count, into: &other)
    var worst = 0.0
    TensorWeights<Scalar>(a, tensor).forEachChunk { (start, chunk) in
        for i in chunk.indices {
            let channel = (start + i) / ranges.channels.inner % ranges.channels.count
            let step = (ranges.highs[channel] - ranges.lows[channel]) / Double(1 << codebook.bits)
            let magnitude = max(ranges.highs[channel].magnitude, ranges.lows[channel].magnitude)
            // Subnormal halves are spaced 2^-24 apart.
            let explained = relative * magnitude + (tensor.dtype == .f16 ? 0x1p-25 : 0)
            let error = (Double(chunk[i]) - Double(other[start + i])).magnitude - explained
            if error > 0 { worst = max(worst, step > 0 ? error / step : .infinity) }
        }
    }
    return worst
}
