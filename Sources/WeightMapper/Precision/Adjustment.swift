/// What the precisions are for: where the extreme is looked for.
public enum Granularity: String, Sendable, CaseIterable {
    /// One for each category of data, over all layers.
    case category
    /// One for each layer and category.
    case layer
    /// One for each layer, category and group: an output channel, or a block of inputs.
    case group
}

/// A change of a precision, and why.
public struct Adjustment: Hashable, Sendable, CustomStringConvertible {
    /// Why a precision changed.
    public enum Reason: Hashable, Sendable {
        /// It is the first of its series, and fits this measure of the data.
        case first(measure: Double)
        /// The measure reached the bound (2^(bitnum-1) - 1) * step.
        case up(measure: Double, bound: Double)
        /// The measure stayed below the bound 2^(bitnum-1-margin) * step.
        case down(measure: Double, bound: Double)
    }

    /// Number of the observation that caused it, from 0 for the first of this layer (of this category, for
    /// `Granularity.category`).
    public let observation: Int
    /// Category of the data.
    public let category: DataCategory
    /// The layer; `nil` where one precision is for all.
    public let layer: String?
    /// Number of the group; `nil` where one precision is for the layer.
    public let group: Int?
    /// The precision before; `nil` for the first.
    public let old: Precision?
    /// The precision since.
    public let new: Precision
    /// Why.
    public let reason: Reason

    public var description: String {
        let place = [category.rawValue, layer, group.map { "group \($0)" }].compactMap(\.self).joined(separator: " ")
        let change = "\(old.map { "\($0) -> " } ?? "")\(new)"
        switch reason {
        case .first(let measure): return "\(place): \(change), to fit \(measure)"
        case .up(let measure, let bound): return "\(place): \(change), since \(measure) reached \(bound)"
        case .down(let measure, let bound): return "\(place): \(change), since \(measure) stayed below \(bound)"
        }
    }
}
