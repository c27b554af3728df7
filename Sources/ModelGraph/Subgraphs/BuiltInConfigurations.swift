extension TargetConfiguration {
    /// Functions that follow a layer on each element by itself.
    private static let activations = [
        "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Clip", "Elu", "Selu", "Softplus", "Gelu",
        "Swish", "Mish",
    ]

    /// The chains that the native target runs as one.
    static let nativeFusions = [
        Fusion(
            name: "convolution",
            steps: [Step(["Conv"]), Step(["BatchNormalization"], optional: true), Step(activations, optional: true)]),
        Fusion(
            name: "attention",
            steps: [
                Step(["MatMul"]), Step(["Mul", "Div"], optional: true), Step(["Add"], optional: true),
                Step(["Softmax"]),
                Step(["MatMul"]),
            ]),
        Fusion(
            name: "fully-connected",
            steps: [Step(["MatMul", "Gemm"]), Step(["Add"], optional: true), Step(activations, optional: true)]),
        Fusion(name: "lstm", steps: [Step(["LSTM", "GRU"]), Step(["Squeeze"], optional: true)]),
    ]

    /// The configuration of one target alone.
    ///
    /// - Parameters:
    ///   - name: the target.
    ///   - operators: those that it takes.
    /// - Returns: for "native" one with the chains that it runs as one; engines that fuse by themselves take whole networks.
    public static func builtIn(_ name: String, operators: [String] = ["*"]) -> TargetConfiguration {
        TargetConfiguration(targets: [
            Target(name: name, operators: operators, fusions: name == "native" ? nativeFusions : [])
        ])
    }
}
