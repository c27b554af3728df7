/// The sub-block (Bfin, Bfout, Bx, By) of a layer that fills one picture (claim 7); a fully connected layer's (Bin, Bout) of
/// claim 6 has Bx = By = 1.
public struct BlockShape: Hashable, Sendable, Codable {
    /// Input neurons or filters.
    public var bfin: Int
    /// Output neurons or filters.
    public var bfout: Int
    /// Columns of the kernel.
    public var bx: Int
    /// Rows of the kernel.
    public var by: Int

    /// A block of a convolution, or of a fully connected layer when the kernel is left out.
    public init(bfin: Int, bfout: Int, bx: Int = 1, by: Int = 1) {
        self.bfin = bfin
        self.bfout = bfout
        self.bx = bx
        self.by = by
    }

    /// The block that covers each matrix of a layer.
    public init(whole geometry: LayerGeometry) {
        func count(_ roles: LayerGeometry.Role...) -> Int {
            geometry.axes.reduce(1) { roles.contains($1.role) ? $0 * $1.count : $0 }
        }
        self.init(
            bfin: max(count(.group, .input), 1), bfout: max(count(.output), 1), bx: count(.kernelX),
            by: count(.kernelZ, .kernelY))
    }

    /// Number of blocks of this shape that cover `block`'s matrix, `self` being the whole of it.
    func blocks(of block: BlockShape) -> Int {
        ceilDivide(bfin, block.bfin) * ceilDivide(bfout, block.bfout) * ceilDivide(bx, block.bx) * ceilDivide(by, block.by)
    }

    /// - Throws: `MapperError.block` unless 0 < each side <= the layer's.
    func validate(within whole: BlockShape) throws(MapperError) {
        let sides = [
            ("Bfin", bfin, whole.bfin), ("Bfout", bfout, whole.bfout), ("Bx", bx, whole.bx), ("By", by, whole.by),
        ]
        for (field, value, limit) in sides where value < 1 || value > limit {
            throw .block(field: field, value: value, limit: limit)
        }
    }

    /// This block cut down to a layer that is smaller than it.
    public func clamped(to geometry: LayerGeometry) -> BlockShape {
        let whole = BlockShape(whole: geometry)
        return BlockShape(
            bfin: min(bfin, whole.bfin), bfout: min(bfout, whole.bfout), bx: min(bx, whole.bx), by: min(by, whole.by))
    }

    /// The block used when none is asked for: whole kernels, about `target` pixels a frame and at most `side` pixels along
    /// each side, cut evenly so that padding stays under 2 % wherever the layer allows.
    ///
    /// Frames much smaller than `target` cost each its own headers and code tables; much larger ones leave nothing to do
    /// for a second core.
    public init(frameFor geometry: LayerGeometry, target: Int = 1 << 18, side: Int = 4096) {
        let whole = BlockShape(whole: geometry)
        let width = whole.bfin * whole.bx
        let height = whole.bfout * whole.by
        let columns = min(ceilDivide(width, side), whole.bfin)
        let area = ceilDivide(width, columns) * height
        let rows = min(max(ceilDivide(area, target), ceilDivide(height, side)), whole.bfout)
        var best = whole
        var bestWaste = Double.infinity
        // A few more cuts than needed may divide the layer more evenly.
        for c in columns...min(columns + 7, whole.bfin) {
            for r in rows...min(rows + 7, whole.bfout) {
                let block = BlockShape(
                    bfin: ceilDivide(whole.bfin, c), bfout: ceilDivide(whole.bfout, r), bx: whole.bx, by: whole.by)
                let pixels = whole.blocks(of: block) * block.bfin * block.bfout * block.bx * block.by
                let waste = Double(pixels) / Double(max(width * height, 1)) - 1
                if waste < bestWaste - 1e-9, bestWaste > 0.01 {
                    best = block
                    bestWaste = waste
                }
            }
        }
        self = best
    }
}
