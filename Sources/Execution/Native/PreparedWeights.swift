import Synchronization

/// What a layer makes of its weights for its kernel, kept from run to run.
final class PreparedWeights: Sendable {
    private let kept = Mutex<(any Sendable)?>(nil)

    /// What was made before, or else is made now.
    func value<Value: Sendable>(
        _ make: () throws(KernelFailure) -> Value
    ) throws(KernelFailure) -> Value {
        if let value = kept.withLock({ $0 as? Value }) { return value }
        let value = try make()
        kept.withLock { $0 = value }
        return value
    }
}
