import Execution
import ModelGraph

/// What was tried to find the run modes of a network's layers, and what was chosen.
public struct TuningResult: Sendable {
    /// One way of running layers.
    public struct Trial: Sendable {
        /// The modes of the layers that it is about: one for all of the network, one for a layer alone, or one for each first layer.
        public let modes: [RunMode]
        /// Seconds of a pass over the test data; `nil` when it could not be run.
        public internal(set) var timing: RunTiming?
        /// Relative L2 error of the outputs against those of the reference.
        public internal(set) var error: Double?
        /// Why it does not count: what an engine says, or outputs beyond the tolerance.
        public internal(set) var refusal: String?
    }

    /// The mode whose outputs are the reference.
    public let reference: RunMode
    /// All layers in one mode.
    public let singles: [Trial]
    /// The third layers, each alone.
    public let alone: [(layer: TunableLayer, trials: [Trial])]
    /// The first layers.
    public let together: [TunableLayer]
    /// Combinations of modes of the first layers, the fastest first.
    public let combinations: [Trial]
    /// The mode of all other layers.
    public let designated: RunMode
    /// The fastest of the single modes.
    public let bestSingle: Trial
    /// What is chosen, timed in turns with the best single mode.
    public let winner: Trial
    /// How much less time the choice takes than the best single mode, as a share of that; 0 when that is the choice.
    public let gain: Double
    /// Standard error of the gain.
    public let gainNoise: Double
    /// The chosen mode of each layer of the main graph.
    public let modes: [RunMode]
}
