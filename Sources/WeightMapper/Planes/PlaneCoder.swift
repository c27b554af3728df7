import Glibc

/// How a codec spends bits on a plane, as far as choosing between planes needs to know.
public enum PlaneCoder: Sendable, Hashable {
    /// Huffman codes over bytes, in blocks with a code each, and a byte at the start of each row: PNG. Samples of 2 and 4 bits share a
    /// byte, which so codes several at once.
    case deflate
    /// One Huffman code over bytes for each frame: Ut Video. Two samples of 4 bits share a byte.
    case frameHuffman
    /// Rice's codes: FLAC.
    case rice
    /// Codes that adapt and take fractions of a bit: JPEG XL, FFV1, and what is not known.
    case adaptive

    /// The rates by which a search for planes of so many bits goes.
    public func rates(bits: Int) -> RateModel {
        switch self {
        case .deflate, .frameHuffman: bits > 4 ? .huffman : .entropy
        case .rice: .rice
        case .adaptive: .entropy
        }
    }

    /// Bits of a stream beside its samples: a PNG's chunks, a ZIP's headers and a line of the manifest.
    public static let overhead = 8.0 * 220

    /// Samples for each weight beyond which wider ones are taken: few where another codec takes these, and codes them well.
    var mostSamples: Int { self == .frameHuffman ? 2 : 8 }

    /// Symbols after which a code changes.
    private var blockLength: Int { self == .deflate ? 32_767 : 1 << 18 }

    /// Bits that a plane will take, in its streams and what the packed file says of these.
    ///
    /// - Parameter scale: how many times as many weights the plane stands for as it has: tables of codes are shared with those.
    /// - Complexity: linear in the samples of a plane of Huffman codes, of which large ones are sampled.
    public func bits(_ plane: Plane, of layer: LayerGeometry, scale: Double = 1) -> Double {
        guard let geometry = try? plane.shape.geometry(of: layer) else { return 0 }
        let tiling = Tiling(image: geometry)
        let bits = plane.bits
        switch plane.samples {
        case .narrow(let samples) where self == .deflate || self == .frameHuffman:
            let perByte = self == .deflate ? (bits == 2 ? 4 : bits == 4 ? 2 : 1) : (bits <= 4 ? 2 : 1)
            let rows = self == .deflate ? rows(plane.shape, tiling, scale) : 0
            let streams = self == .deflate ? Double(tiling.frameCount) : 1
            return huffmanBits(samples, perByte: perByte, rows: rows, scale: scale) + Self.overhead * streams
        case .narrow(let samples): return Self.entropy(samples) + Self.overhead
        // Deflate codes both bytes by one table: such planes are short.
        case .wide(let samples): return 16 * Double(samples.count) + Self.overhead
        }
    }

    /// Rows of a plane, or its share of those of `scale` times as many samples: the longer a run, the fewer rows for each.
    private func rows(_ shape: Plane.Shape, _ tiling: Tiling, _ scale: Double) -> Int {
        guard scale > 1, case .run(let count) = shape,
            let whole = try? LayerGeometry.folded(count: Int(Double(count) * scale))
        else { return tiling.frameHeight * tiling.frameCount }
        let all = Tiling(image: whole)
        return Int(Double(all.frameHeight * all.frameCount) / scale)
    }

    private func huffmanBits(_ samples: [UInt8], perByte: Int, rows: Int, scale: Double) -> Double {
        let length = blockLength * perByte
        let blocks = ceilDivide(samples.count, length)
        let stride = blocks > 32 ? 4 : 1
        var bits = 0.0
        var joined = [Int](repeating: 0, count: 256)
        var seen = 0
        samples.withUnsafeBufferPointer { samples in
            for block in Swift.stride(from: 0, to: blocks, by: stride) {
                let range = block * length..<min((block + 1) * length, samples.count)
                var counts = [Int](repeating: 0, count: 256)
                Self.count(UnsafeBufferPointer(rebasing: samples[range]), perByte: perByte, &counts)
                counts[0] += rows * range.count / samples.count
                let code = self == .deflate ? HuffmanCode.deflateBits(counts) : HuffmanCode.frameBits(counts)
                let tables = max(Double(range.count) / Double(length), 1 / scale)
                bits += Double(code.symbols) + Double(code.table) * tables
                for symbol in counts.indices { joined[symbol] += counts[symbol] }
                seen += range.count
            }
        }
        let unseen = Double(samples.count) / Double(max(seen, 1))
        guard self == .deflate else { return bits * unseen }
        // Blocks end only where another code pays.
        let code = HuffmanCode.deflateBits(joined)
        return min(bits * unseen, Double(code.symbols) * unseen + Double(code.table) / scale)
    }

    private static func count(_ samples: UnsafeBufferPointer<UInt8>, perByte: Int, _ counts: inout [Int]) {
        counts.withUnsafeMutableBufferPointer { counts in
            switch perByte {
            case 2:
                for i in 0..<samples.count / 2 {
                    counts[Int(samples[2 &* i] &<< 4 | samples[2 &* i &+ 1] & 15)] &+= 1
                }
            case 4:
                for i in 0..<samples.count / 4 {
                    let high = samples[4 &* i] &<< 6 | samples[4 &* i &+ 1] &<< 4
                    counts[Int(high | samples[4 &* i &+ 2] &<< 2 | samples[4 &* i &+ 3])] &+= 1
                }
            default:
                for sample in samples { counts[Int(sample)] &+= 1 }
            }
        }
    }

    private static func entropy(_ samples: [UInt8]) -> Double {
        var counts = [Int](repeating: 0, count: 256)
        samples.withUnsafeBufferPointer { count($0, perByte: 1, &counts) }
        return counts.reduce(0) { $1 == 0 ? $0 : $0 - Double($1) * log2(Double($1) / Double(samples.count)) }
    }
}

extension TrellisLayer {
    /// The planes that a codec codes in the fewest bits.
    ///
    /// - Parameters:
    ///   - coder: how the codec codes.
    ///   - depths: bits of a sample that the codec takes.
    ///   - geometry: the layer.
    ///   - scale: how many times as many weights as these the bits are asked for.
    /// - Returns: the planes, and the bits that all streams will take. Where samples of such depths would be drowned by those
    ///   that say how far indices are beyond them, the planes have more bits.
    public func bestPlanes(
        _ coder: PlaneCoder, depths: ClosedRange<Int>, _ geometry: LayerGeometry, scale: Double = 1
    ) -> (planes: [Plane], bits: Double) {
        let needed = min(max(bitsWithoutOverflow, depths.lowerBound), depths.upperBound)
        var candidates: [Int]
        switch coder {
        case .deflate: candidates = needed <= 2 ? [2, 4] : needed <= 4 ? [4] : needed <= 8 ? [4, 8] : [4, 8, needed]
        case .frameHuffman, .rice, .adaptive: candidates = [needed]
        }
        candidates.removeAll { sampleCount(bits: $0) > coder.mostSamples * count }
        if candidates.isEmpty { candidates = [bitsWithoutOverflow] }
        var best: (planes: [Plane], bits: Double)?
        for bits in candidates {
            for isSplit in isSplit ? [false, true] : [false] {
                var planes = planes(bits: bits, isSplit: isSplit, isFolded: false)
                func cost(_ planes: [Plane]) -> Double {
                    planes.reduce(0) { $0 + coder.bits($1, of: geometry, scale: scale) }
                }
                var bits = cost(planes)
                if coder == .deflate, planes[0].shape == .channels {
                    let folded = self.planes(bits: planes[0].bits, isSplit: false, isFolded: true)
                    let foldedBits = cost(folded)
                    if foldedBits < 0.997 * bits { (planes, bits) = (folded, foldedBits) }
                }
                if bits < best?.bits ?? .infinity { best = (planes, bits) }
            }
        }
        return best
            ?? (
                planes(bits: min(max(bitsWithoutOverflow, 8), depths.upperBound), isSplit: false, isFolded: false),
                .infinity
            )
    }
}
