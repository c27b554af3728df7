// Claims 1, 4 and 5 of CN109376856B: a layer as images.

extension Tiling {
    /// Each matrix of the layer as one picture: a fully connected layer (Nin, Nout) as an image Nin long and Nout wide (claim
    /// 4), a convolution (Nfin, Nfout, Kx, Ky) as an image Nfin * Kx long and Nfout * Ky wide (claim 5), an LSTM layer as m
    /// images, one for each of its m fully connected layers (claim 1).
    public init(image geometry: LayerGeometry) {
        // The whole layer is a block within its own bounds.
        do { try self.init(geometry, block: BlockShape(whole: geometry)) } catch { preconditionFailure("\(error)") }
    }
}
