// Claims 1, 4 and 5 of CN109376856B: a layer as images.

extension Tiling {
    /// Each matrix of the layer as one picture: a fully connected layer (Nin, Nout) as an image Nin long and Nout wide (claim
    /// 4), a convolution (Nfin, Nfout, Kx, Ky) as an image Nfin * Kx long and Nfout * Ky wide (claim 5), an LSTM layer as m
    /// images, one for each of its m fully connected layers (claim 1).
    ///
    /// - Parameter isTransposed: whether each picture lies on its side, as suits a layer that is much wider than long.
    public init(image geometry: LayerGeometry, isTransposed: Bool = false) {
        // The whole layer is a block within its own bounds.
        do {
            try self.init(geometry, block: BlockShape(whole: geometry), isTransposed: isTransposed)
        } catch { preconditionFailure("\(error)") }
    }
}

extension LayerGeometry {
    /// Whether pictures on their side have so many fewer rows that a byte for each row, as PNG has it, is a 64th of the weights.
    public var suitsTransposedPictures: Bool {
        let upright = Tiling(image: self)
        let pixels = upright.frameWidth * upright.frameHeight
        return (upright.frameHeight - upright.frameWidth) * 64 >= max(pixels, 1)
    }
}
