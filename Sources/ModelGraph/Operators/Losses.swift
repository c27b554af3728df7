import ModelFiles

/// Operators that say how far predictions are from labels.
extension Operators {
    static let losses: [String: Operator] = [
        "NegativeLogLikelihoodLoss": Operator(loss), "SoftmaxCrossEntropyLoss": Operator(loss),
    ]

    private static func loss(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let isReduced = call.text("reduction") != "none"
        return [call[0].cleared(isReduced ? [] : call.shape(1)), call[0].cleared()]
    }
}
