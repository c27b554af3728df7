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
        self.init(
            bfin: max(geometry.count([.group, .input]), 1), bfout: max(geometry.count([.output]), 1),
            bx: geometry.count([.kernelX]), by: geometry.count([.kernelZ, .kernelY]))
    }

    /// Number of blocks of this shape that cover `block`'s matrix, `self` being the whole of it.
    func blocks(of block: BlockShape) -> Int {
        ceilDivide(bfin, block.bfin) * ceilDivide(bfout, block.bfout) * ceilDivide(bx, block.bx)
            * ceilDivide(by, block.by)
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
}
