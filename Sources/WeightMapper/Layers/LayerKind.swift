/// The kinds of layer that CN109376856B turns into pictures (claim 1), with the embedding treated as a fully connected layer.
public enum LayerKind: String, Sendable, Codable, CaseIterable {
    /// Fully connected: a matrix (Nin, Nout).
    case fc
    /// Convolution in one, two or three dimensions, grouped or not: (Nfin, Nfout, Kx, Ky).
    case conv
    /// Depthwise convolution: one kernel for each channel.
    case depthwise
    /// LSTM: four gate matrices, each a fully connected layer of its own.
    case lstm
    /// GRU: three gate matrices, each a fully connected layer of its own.
    case gru
    /// Embedding: a table with one row for each symbol, an FC layer whose input is one-hot.
    case embedding

    /// Gate matrices that a recurrent layer stacks in one tensor, 1 for the others.
    public var gates: Int {
        switch self {
        case .lstm: 4
        case .gru: 3
        default: 1
        }
    }
}

/// The order in which a framework lays out the dimensions of a layer's weights.
public enum LayoutConvention: String, Sendable, Codable, CaseIterable {
    /// `[Nout, Nin]`, `[Nfout, Nfin, (Kz,) Ky, Kx]`, recurrent `[gates * H, I]`.
    case pytorch
    /// `[Nin, Nout]` for MatMul, convolutions as PyTorch's, recurrent `[directions, gates * H, I]`.
    case onnx
    /// `[Nin, Nout]`, `[(Kz,) Ky, Kx, Nfin, Nfout]`, depthwise `[Ky, Kx, C, M]`, recurrent `[I, gates * H]`.
    case keras
    /// PyTorch's with input and output exchanged, as its ConvTranspose has them: `[Nin, Nout]`, `[Nfin, Nfout, (Kz,) Ky, Kx]`,
    /// recurrent `[I, gates * H]`.
    case transposed
    /// `[Nout, Nin]`, `[Nfout, (Kz,) Ky, Kx, Nfin]`, depthwise `[1, Ky, Kx, C]`, recurrent as PyTorch's.
    case tflite
}
