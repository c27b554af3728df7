/// What one layer needs.
public struct LayerEstimate: Hashable, Sendable {
    /// The layer's identifier.
    public let identifier: String
    /// Its type, as "Conv".
    public let type: String
    /// How many graphs it is nested in.
    public let depth: Int
    /// How often it runs in one run of the network; 0 for what depends on weights alone and is worked out before.
    public let turns: Int
    /// Bytes of the weights it reads.
    public let weightBytes: Int
    /// Bytes of the values it gives in one turn; `nil` when their sizes are not known.
    public let activationBytes: Int?
    /// Bytes of temporary memory that it takes while it runs.
    public let workspaceBytes: Int
    /// Multiply-adds of one run of the network; `nil` when sizes are not known.
    public let multiplyAdds: Int?
    /// Bytes of weights, inputs and outputs that it reads and writes in one run of the network.
    public let movedBytes: Int
    /// Names of the weights it reads.
    public let weights: [String]
}

/// What a network needs of a device to run once.
///
/// Source: claims 7 to 9 of CN110058936B. Multiply-adds are those of products of matrices, convolutions and recurrent layers;
/// additions of biases and operations element by element are not counted. Of two branches of which it is not known which is
/// taken the heavier one is counted; the weights of both are.
public struct ResourceEstimate: Hashable, Sendable {
    /// The type that floats are held in; `nil` for the types that the model has.
    public let type: NumericType?
    /// The type that is computed in.
    public let computeType: NumericType
    /// Layers in the order in which they run, those of nested graphs after the one around them.
    public let layers: [LayerEstimate]
    /// Bytes of all weights, each once.
    public let weightBytes: Int
    /// Bytes of the weights by name.
    public let weights: [String: Int]
    /// Bytes of the network's inputs, which are held while it runs.
    public let inputBytes: Int
    /// Bytes of everything that layers give, each in memory of its own.
    public let activationBytes: Int
    /// Bytes of what layers have given and still need, and of their temporary memory, when they are most.
    public let peakActivationBytes: Int
    /// The layer at which they are.
    public let peakLayer: String?
    /// Multiply-adds of one run.
    public let multiplyAdds: Int
    /// What a person should know, a line each.
    public let notes: [String]

    /// Bytes of the largest temporary memory.
    public var workspaceBytes: Int { layers.reduce(0) { max($0, $1.workspaceBytes) } }
    /// Bytes of weights, inputs and all activations.
    public var memoryWithoutReuse: Int { weightBytes + inputBytes + activationBytes + workspaceBytes }
    /// Bytes of weights, inputs and the activations that are needed at the same time.
    public var memoryWithReuse: Int { weightBytes + inputBytes + peakActivationBytes }
}
