// Claims 6 and 7 of CN109376856B: a layer as the frames of a video.

extension Tiling {
    /// The layer cut into sub-blocks, each of which fills one frame.
    ///
    /// A fully connected layer is cut into blocks (Bin, Bout) (claim 6), and so is each matrix of an LSTM layer; a
    /// convolution into blocks (Bfin, Bfout, Bx, By), each an image Bfin * Bx long and Bfout * By wide (claim 7).
    ///
    /// - Parameter block: the sub-block; `nil` for `BlockShape(frameFor:)`.
    /// - Throws: `MapperError.block` when a side of the block is empty or exceeds the layer's.
    public init(video geometry: LayerGeometry, block: BlockShape? = nil) throws(MapperError) {
        try self.init(geometry, block: block ?? BlockShape(frameFor: geometry))
    }
}

extension BlockShape {
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
