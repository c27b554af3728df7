import ModelFiles
import WeightMapper

// Conversions between the element types of model files and the arithmetic of the mapper. The 16-bit ones are bit
// manipulations that vectorize; the processor's own instructions are not in the x86-64 baseline.

/// binary16 to binary32, exact.
@inline(__always)
func float(fromHalf half: UInt16) -> Float {
    let magnitude = UInt32(half & 0x7fff) << 13
    // 2^112 moves the exponent from one bias to the other, and makes subnormals normal.
    let value = Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)
    let special: UInt32 = magnitude >= 0x0f80_0000 ? 0x7f80_0000 : 0
    return Float(bitPattern: value.bitPattern | special | UInt32(half & 0x8000) << 16)
}

/// binary32 to binary16, to nearest, ties to even; too large becomes infinite.
@inline(__always)
func half(from float: Float) -> UInt16 {
    let bits = float.bitPattern
    let magnitude = bits & 0x7fff_ffff
    // Adding 0.5 aligns a subnormal result's last place with the sum's.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000
    let normal = (magnitude &- 0x3800_0000 &+ 0xfff &+ (magnitude >> 13 & 1)) >> 13
    let special: UInt32 = magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00
    let result = magnitude >= 0x4780_0000 ? special : (magnitude < 0x3880_0000 ? subnormal : normal)
    return UInt16(truncatingIfNeeded: result | bits >> 16 & 0x8000)
}

/// binary32 to bfloat16, to nearest, ties to even; NaN is not expected.
@inline(__always)
func bfloat(from float: Float) -> UInt16 {
    let bits = float.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
}

/// Reads elements of a model file, of any alignment, as `Scalar`; `bytes` holds exactly as many as `scalars`.
func load<Scalar: WeightScalar>(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into scalars: UnsafeMutableBufferPointer<Scalar>
) {
    func word(_ i: Int) -> UInt16 { bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self) }
    switch dtype {
    case .f16:
        scalars.withMemoryRebound(to: Float.self) { floats in
            for i in floats.indices { floats[i] = float(fromHalf: word(i)) }
        }
    case .bf16:
        scalars.withMemoryRebound(to: Float.self) { floats in
            for i in floats.indices { floats[i] = Float(bitPattern: UInt32(word(i)) << 16) }
        }
    default:
        UnsafeMutableRawBufferPointer(scalars).copyMemory(from: bytes)
    }
}

/// Reads some elements of a model file as `Double`, from number `start` on.
func loadDoubles(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, at start: Int, into doubles: UnsafeMutableBufferPointer<Double>
) {
    let size = (dtype.bitWidth ?? 0) / 8
    let part = UnsafeRawBufferPointer(rebasing: bytes[start * size..<(start + doubles.count) * size])
    guard dtype != .f64 else { return load(part, dtype, into: doubles) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: doubles.count) { floats in
        load(part, dtype, into: floats)
        for i in floats.indices { doubles[i] = Double(floats[i]) }
    }
}

/// The inverse of `load`: rounds weights to the file's type.
func store<Scalar: WeightScalar>(
    _ scalars: UnsafeBufferPointer<Scalar>, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
) {
    func put(_ i: Int, _ word: UInt16) { bytes.storeBytes(of: word, toByteOffset: 2 * i, as: UInt16.self) }
    switch dtype {
    case .f16:
        scalars.withMemoryRebound(to: Float.self) { floats in
            for i in floats.indices { put(i, half(from: floats[i])) }
        }
    case .bf16:
        scalars.withMemoryRebound(to: Float.self) { floats in
            for i in floats.indices { put(i, bfloat(from: floats[i])) }
        }
    default:
        bytes.copyMemory(from: UnsafeRawBufferPointer(scalars))
    }
}

/// The weights of one tensor of a model file, read a chunk at a time so that a large tensor is never in memory whole.
public struct TensorWeights<Scalar: WeightScalar>: WeightSource {
    /// Weights in a chunk: fits the second-level cache as float32.
    public static var chunk: Int { 1 << 16 }

    /// The model that holds them.
    public let model: ModelFile
    /// The tensor they belong to.
    public let tensor: TensorRecord
    public var count: Int { tensor.count }
    public var largestFinite: Double { tensor.dtype.largestFinite }

    /// The type that a tensor's weights are handed over in must be `Double` for float64 and `Float` for all others.
    public init(_ model: ModelFile, _ tensor: TensorRecord) {
        precondition((tensor.dtype == .f64) == (Scalar.self == Double.self))
        self.model = model
        self.tensor = tensor
    }

    /// Weights of some channels, evenly chosen, at most 16,384 of each.
    func channels(_ limit: Int, of geometry: LayerGeometry) -> [[Scalar]] {
        let layout = geometry.channels
        let size = (tensor.dtype.bitWidth ?? 0) / 8
        let total = layout.count
        // A folded layer's last row may be short; it is left out.
        let whole = layout.inner * total > count ? total - 1 : total
        let length = min(total > 0 ? count / total : 0, 16_384)
        let chosen = min(limit, whole)
        guard length > 0, chosen > 0 else { return [] }
        defer { model.files[tensor.extent.file].file.release(tensor.extent.range) }
        return model.withBytes(of: tensor.extent) { bytes in
            (0..<chosen).map { c in
                let channel = c * whole / chosen
                return [Scalar](unsafeUninitializedCapacity: length) { scalars, initialized in
                    var done = 0
                    while done < length {
                        let run = min(layout.inner - done % layout.inner, length - done)
                        let start =
                            ((done / layout.inner * total + channel) * layout.inner + done % layout.inner) * size
                        load(
                            UnsafeRawBufferPointer(rebasing: bytes[start..<start + run * size]), tensor.dtype,
                            into: UnsafeMutableBufferPointer(rebasing: scalars[done..<done + run]))
                        done += run
                    }
                    initialized = length
                }
            }
        }
    }

    public func forEachChunk<Failure: Error>(
        _ body: (Int, Span<Scalar>) throws(Failure) -> Void
    ) throws(Failure) {
        var scratch = [Scalar](repeating: 0, count: min(Self.chunk, count))
        var start = 0
        while start < count {
            let length = min(Self.chunk, count - start)
            read(start..<start + length, into: &scratch)
            try body(start, scratch.span.extracting(first: length))
            start += length
        }
    }

    /// Reads some weights to the beginning of `scratch`.
    public func read(_ range: Range<Int>, into scratch: inout [Scalar]) {
        let size = (tensor.dtype.bitWidth ?? 0) / 8
        let part = Extent(
            file: tensor.extent.file, offset: tensor.extent.offset + range.lowerBound * size, length: range.count * size
        )
        model.withBytes(of: part) { bytes in
            scratch.withUnsafeMutableBufferPointer { scratch in
                load(bytes, tensor.dtype, into: UnsafeMutableBufferPointer(rebasing: scratch[..<range.count]))
            }
        }
        // Pages that were read count as the process's memory until they are given back.
        if tensor.extent.length > 1 << 24 { model.files[part.file].file.release(part.range) }
    }
}
