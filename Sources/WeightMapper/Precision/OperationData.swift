/// The categories of the operation data of CN111832695A: what a layer takes in, gives out and multiplies by, and the
/// derivatives of each in training.
public enum DataCategory: String, Sendable, Codable, CaseIterable {
    /// Input neurons A.
    case input = "A"
    /// Output neurons B.
    case output = "B"
    /// Weights W.
    case weight = "W"
    /// Derivatives of the input neurons.
    case inputDerivative = "dA"
    /// Derivatives of the output neurons.
    case outputDerivative = "dB"
    /// Derivatives of the weights.
    case weightDerivative = "dW"
}

/// One observation of a layer's data: a checkpoint's weights, or a batch's activations or derivatives.
public struct OperationData: Hashable, Sendable {
    /// What the data is.
    public let category: DataCategory
    /// The layer's name, the same in each observation of it.
    public let layer: String
    /// Statistics of each group.
    public let groups: [MagnitudeStatistics]

    /// An observation that was measured before.
    public init(_ category: DataCategory, layer: String, groups: [MagnitudeStatistics]) {
        self.category = category
        self.layer = layer
        self.groups = groups
    }

    /// Measures an observation.
    ///
    /// - Parameters:
    ///   - category: what the data is.
    ///   - layer: the layer's name.
    ///   - values: the data, in memory order.
    ///   - groups: its groups; `nil` for one.
    ///   - distribution: whether the strategy goes by the distribution (`AdjustmentStrategy.needsDistribution`).
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    public init<Source: WeightSource>(
        _ category: DataCategory, layer: String, measuring values: Source, groups: PrecisionGroups? = nil,
        distribution: Bool = true
    ) throws(MapperError) {
        self.init(
            category, layer: layer,
            groups: try MagnitudeStatistics.measure(
                values, groups ?? PrecisionGroups(valueCount: values.count), distribution: distribution))
    }
}
