import WeightArchive
import WeightMapper

/// A picture of a layer as the page shows it.
struct PagePicture: Sendable {
    let png: [UInt8]
    let width, height: Int
}

extension DecodedLayer {
    /// Picture `number` small: every so manieth weight of every so manieth row, in 16 shades.
    ///
    /// Weights are picked, not averaged: the mean of neighbors, which are all but independent, would be gray everywhere.
    /// A tall picture is squeezed to a square, a very long one to four times its height.
    ///
    /// - Returns: the whole picture, at the layer's bit depth, where it is no larger than the preview.
    func preview(_ number: Int, within limit: (width: Int, height: Int)) throws -> PagePicture {
        let (width, height) = pictureSize
        guard width > limit.width || height > limit.height else {
            return PagePicture(png: try picture(number), width: width, height: height)
        }
        let scale = min(Double(limit.width) / Double(width), Double(limit.height) / Double(height))
        var small = (width: max(Int(Double(width) * scale), 1), height: max(Int(Double(height) * scale), 1))
        small.width = min(max(small.width, small.height), width)
        small.height = min(max(small.height, small.width / 4), height)
        let depth = min(bits, 4)
        let shift = bits - depth
        func pick<Bin: BinScalar>(_ pixels: UnsafeRawBufferPointer, _: Bin.Type) throws -> [UInt8] {
            let pixels = pixels.bindMemory(to: Bin.self)
            var picked = [UInt8](repeating: 0, count: small.width * small.height)
            for y in 0..<small.height {
                // In the middle of what each picked weight stands for.
                let row = (2 * y + 1) * height / (2 * small.height) * width
                for x in 0..<small.width {
                    let bin = pixels[row + (2 * x + 1) * width / (2 * small.width)]
                    picked[y * small.width + x] = UInt8(truncatingIfNeeded: bin >> Bin(shift))
                }
            }
            return try picked.withUnsafeBytes {
                try grayPNG($0, width: small.width, height: small.height, bits: depth)
            }
        }
        let png = try withPicture(number) { try bits > 8 ? pick($0, UInt16.self) : pick($0, UInt8.self) }
        return PagePicture(png: png, width: small.width, height: small.height)
    }
}
