/// Places the bins of a layer in pictures of one size and takes them back: a bijection between the layer's weights and the
/// pixels that are not padding.
///
/// A picture is `block.bfin * block.bx` long (x) and `block.bfout * block.by` wide (y). With the whole layer as its block it
/// is the one image of claims 4 and 5, or the m images of an LSTM layer (claim 1); with smaller blocks the pictures are the
/// frames of claims 6 and 7. Frames follow each other by matrix, then down the layer, then along it.
public struct Tiling: Sendable {
    /// The layer.
    public let geometry: LayerGeometry
    /// The sub-block that fills one picture.
    public let block: BlockShape
    /// Number of pictures.
    public let frameCount: Int
    /// Whether pictures lie on their side: what runs along the layer runs down the picture.
    public let isTransposed: Bool
    /// Pixels in a row.
    public var frameWidth: Int { isTransposed ? block.bfout * block.by : block.bfin * block.bx }
    /// Rows in a picture.
    public var frameHeight: Int { isTransposed ? block.bfin * block.bx : block.bfout * block.by }
    /// Pixels of all pictures that hold no weight.
    public var paddingCount: Int { frameCount * frameWidth * frameHeight - geometry.count }

    /// Whether the only picture holds the bins in their order, row by row, padding at its end.
    public var keepsOrder: Bool {
        frameCount == 1 && block == extent && !isTransposed
            && [[], [.output], [.input], [.output, .input]].contains(geometry.axes.map(\.role))
    }

    /// The block that would cover a whole matrix.
    private let extent: BlockShape

    /// A tiling of a layer by blocks.
    ///
    /// - Throws: `MapperError.block` when a side of the block is empty or exceeds the layer's.
    public init(_ geometry: LayerGeometry, block: BlockShape, isTransposed: Bool = false) throws(MapperError) {
        self.isTransposed = isTransposed
        extent = BlockShape(whole: geometry)
        try block.validate(within: extent)
        self.geometry = geometry
        self.block = block
        let matrices = geometry.count(Roles.matrices)
        frameCount = geometry.count == 0 ? 0 : matrices * extent.blocks(of: block)
    }

    /// Offsets of the weights in picture `frame`: the one at (x, y) is weight rows[y] + columns[x], or padding where that is
    /// `geometry.count` or more.
    func offsets(ofFrame frame: Int) -> (rows: [Int], columns: [Int]) {
        precondition(frame >= 0 && frame < frameCount)
        var place = frame
        func digit(_ radix: Int) -> Int {
            defer { place /= radix }
            return place % radix
        }
        let kx = digit(ceilDivide(extent.bx, block.bx)) * block.bx
        let fin = digit(ceilDivide(extent.bfin, block.bfin)) * block.bfin
        let ky = digit(ceilDivide(extent.by, block.by)) * block.by
        let fout = digit(ceilDivide(extent.bfout, block.bfout)) * block.bfout
        let base = geometry.offset(of: place, Roles.matrices)
        let rows = table(
            base, Roles.outputs, fout..<fout + block.bfout, extent.bfout, Roles.kernelRows, ky..<ky + block.by,
            extent.by)
        let columns = table(
            0, Roles.inputs, fin..<fin + block.bfin, extent.bfin, Roles.kernelColumns, kx..<kx + block.bx, extent.bx)
        return isTransposed ? (columns, rows) : (rows, columns)
    }

    /// Offsets along one side of a picture: for each `slow` index every `fast` one; beyond the layer where either is.
    private func table(
        _ base: Int, _ slowRoles: [LayerGeometry.Role], _ slow: Range<Int>, _ slowLimit: Int,
        _ fastRoles: [LayerGeometry.Role], _ fast: Range<Int>, _ fastLimit: Int
    ) -> [Int] {
        // Two offsets beyond the layer must not overflow when added.
        let outside = Int.max / 4
        let fastOffsets = fast.map { $0 < fastLimit ? geometry.offset(of: $0, fastRoles) : outside }
        var table: [Int] = []
        table.reserveCapacity(slow.count * fast.count)
        for s in slow {
            let start = s < slowLimit ? base + geometry.offset(of: s, slowRoles) : outside
            for offset in fastOffsets { table.append(offset == outside ? outside : start + offset) }
        }
        return table
    }

    /// What runs which way in a picture.
    private enum Roles {
        static let matrices: [LayerGeometry.Role] = [.stack, .direction, .gate]
        static let outputs: [LayerGeometry.Role] = [.output]
        static let kernelRows: [LayerGeometry.Role] = [.kernelZ, .kernelY]
        static let inputs: [LayerGeometry.Role] = [.group, .input]
        static let kernelColumns: [LayerGeometry.Role] = [.kernelX]
    }

    /// Writes picture `frame` of the layer's `bins` into `pixels`, row by row; pixels that hold no weight get `padding`.
    ///
    /// - Complexity: one step for each pixel; a copy of each row where weights follow each other as pixels do.
    @specialized(where Bin == UInt8)
    @specialized(where Bin == UInt16)
    public func tile<Bin: BinScalar>(
        _ bins: Span<Bin>, frame: Int, padding: Bin, into pixels: inout MutableSpan<Bin>
    ) {
        precondition(bins.count == geometry.count && pixels.count == frameWidth * frameHeight)
        let (rows, columns) = offsets(ofFrame: frame)
        bins.withUnsafeBufferPointer { bins in
            pixels.withUnsafeMutableBufferPointer { pixels in
                forEachRun(rows, columns, count: bins.count) { pixel, weight, length in
                    if let weight {
                        let source = UnsafeBufferPointer(rebasing: bins[weight..<weight + length])
                        _ = UnsafeMutableBufferPointer(rebasing: pixels[pixel..<pixel + length]).update(from: source)
                    } else {
                        pixels[pixel..<pixel + length].update(repeating: padding)
                    }
                } gather: { pixel, weight in
                    pixels[pixel] = bins[weight]
                }
            }
        }
    }

    /// The inverse of `tile`: puts the weights' pixels of picture `frame` back in their places in `bins`.
    @specialized(where Bin == UInt8)
    @specialized(where Bin == UInt16)
    public func untile<Bin: BinScalar>(_ pixels: Span<Bin>, frame: Int, into bins: inout MutableSpan<Bin>) {
        precondition(bins.count == geometry.count && pixels.count == frameWidth * frameHeight)
        let (rows, columns) = offsets(ofFrame: frame)
        bins.withUnsafeMutableBufferPointer { bins in
            pixels.withUnsafeBufferPointer { pixels in
                forEachRun(rows, columns, count: bins.count) { pixel, weight, length in
                    guard let weight else { return }
                    let source = UnsafeBufferPointer(rebasing: pixels[pixel..<pixel + length])
                    _ = UnsafeMutableBufferPointer(rebasing: bins[weight..<weight + length]).update(from: source)
                } gather: { pixel, weight in
                    bins[weight] = pixels[pixel]
                }
            }
        }
    }
}

/// Walks the pixels of a picture as its offsets say: `copy` for runs of pixels whose weights are neighbors in memory (`nil` for
/// padding), `gather` for single pixels.
///
/// Both closures stay inside the specialized callers, where they are inlined.
@inline(__always)
private func forEachRun(
    _ rows: [Int], _ columns: [Int], count: Int, copy: (_ pixel: Int, _ weight: Int?, _ length: Int) -> Void,
    gather: (_ pixel: Int, _ weight: Int) -> Void
) {
    let width = columns.count
    let inside = columns.firstIndex { $0 >= count } ?? width
    let isContiguous =
        columns[..<inside].indices.dropFirst().allSatisfy { columns[$0] == columns[$0 - 1] + 1 }
        && columns[inside...].allSatisfy { $0 >= count }
    let isWhole = (rows.max() ?? 0) + (columns.max() ?? 0) < count
    if isContiguous {
        for (y, row) in rows.enumerated() {
            let valid = min(max(count - row - columns[0], 0), inside)
            if valid > 0 { copy(y * width, row + columns[0], valid) }
            if valid < width { copy(y * width + valid, nil, width - valid) }
        }
    } else {
        rows.withUnsafeBufferPointer { rows in
            columns.withUnsafeBufferPointer { columns in
                // Tiles keep both sides in cache when rows and columns of the picture are columns and rows in memory.
                for top in stride(from: 0, to: rows.count, by: tileHeight) {
                    for left in stride(from: 0, to: width, by: tileWidth) {
                        let right = min(left + tileWidth, width)
                        for y in top..<min(top + tileHeight, rows.count) {
                            let row = rows[y]
                            let pixel = y * width
                            if isWhole {
                                for x in left..<right { gather(pixel &+ x, row &+ columns[x]) }
                                continue
                            }
                            for x in left..<right {
                                let weight = row &+ columns[x]
                                if weight < count {
                                    gather(pixel &+ x, weight)
                                } else {
                                    copy(pixel &+ x, nil, 1)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Pixels of the tiles in which a picture is walked that has no runs: a cache line in memory's direction, and a few lines.
private let tileWidth = 32
private let tileHeight = 64

func ceilDivide(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }
