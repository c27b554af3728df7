import ModelFiles
import WeightMapper

/// Gives a tensor back bit for bit from one plane: the bytes of its words, the highest first.
struct BytesLayerCodebook: LayerCodebook {
    let format: FloatFormat

    var record: Manifest.LayerQuantizer { .init(name: "bytes") }

    var serialized: [UInt8] { [] }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        guard planes.count == 1, case .rows = planes[0].shape, planes[0].bits == 8,
            case .narrow(let samples) = planes[0].samples
        else { throw .parameters(expected: "one plane of bytes in rows", found: "\(planes.count) planes") }
        try samples.withUnsafeBufferPointer { samples throws(MapperError) in
            try WordBytes.join(samples, format, into: bytes)
        }
    }

    /// Bits that ideal codes would take, one for the bytes of each place in a word.
    func entropyBits(of planes: [Plane]) -> Double {
        let samples = planes[0].narrow ?? []
        let count = samples.count * 8 / format.bits
        return stride(from: 0, to: samples.count, by: max(count, 1)).reduce(0) { sum, start in
            let part = Array(samples[start..<min(start + count, samples.count)])
            return sum + Plane(bits: 8, shape: .strip(part.count), samples: .narrow(part)).entropyBits
        }
    }
}
