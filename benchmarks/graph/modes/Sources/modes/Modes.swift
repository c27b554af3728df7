import Execution
import Foundation
import ModelFiles
import ModelGraph

/// Times a network in each mode of the native target beside ONNX Runtime, one thread, warmed.
///
///     modes MODEL [NAME=SIZES ...]       sizes of inputs, as x=1x3x48x320
///
/// The engines take turns, so that what else the machine does is the same for all. Prints one JSON object for each.
@main
struct Modes {
    private static let (rounds, warming) = (31, 3)

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard let path = arguments.first else { throw Failure(text: "no model") }
        var sizes: [String: [Int]] = [:]
        for argument in arguments.dropFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1)
            sizes[String(parts[0])] = parts.count > 1 ? parts[1].split(separator: "x").compactMap { Int($0) } : []
        }
        let peer = try await ONNXRuntime(library: ProcessInfo.processInfo.environment["WCODEC_ONNXRUNTIME"])
        let native = try await NativeTarget(library: nil)
        var networks: [(name: String, network: any LoadedNetwork)] = []
        for mode in ONNXRuntime.modes.filter({ $0.weights == .plain }) {
            networks.append((mode.description, try peer.load(path, weights: [:], mode: mode, threads: 1)))
        }
        for mode in NativeTarget.modes.filter({ $0.weights == .plain }) {
            networks.append((mode.description, try native.load(path, weights: [:], mode: mode, threads: 1)))
        }
        var values: [String: TensorValue] = [:]
        for port in networks[0].network.inputs { values[port.name] = try value(port, sizes[port.name]) }
        var times = networks.map { _ in [Double]() }
        var results: [[String: TensorValue]] = []
        for round in 0..<warming + rounds {
            for (index, entry) in networks.enumerated() {
                let start = ContinuousClock.now
                let result = try entry.network.run(values)
                let time = ContinuousClock.now - start
                if round == 0 { results.append(result) }
                if round >= warming { times[index].append(time / .milliseconds(1)) }
            }
        }
        let medians = times.map { $0.sorted()[rounds / 2] }
        let fastest = zip(networks, medians).filter { $0.0.name.hasPrefix(ONNXRuntime.name) }.map(\.1).min() ?? 1
        for (index, entry) in networks.enumerated() {
            let (largest, cosine) = difference(results[index], results[0])
            print(
                """
                {"mode": "\(entry.name)", "milliseconds": \(medians[index]), "ratio": \(medians[index] / fastest), \
                "largestDifference": \(largest), "cosine": \(cosine)}
                """)
        }
    }

    /// Numbers for an input that seem to follow no rule: floats within 0.5, integers as bytes have them.
    private static func value(_ port: NetworkPort, _ sizes: [Int]?) throws -> TensorValue {
        let shape = sizes ?? (port.shape ?? []).map { $0.size ?? 1 }
        let count = shape.reduce(1, *)
        var state: UInt64 = 88_172_645_463_325_252
        let numbers = (0..<count).map { _ -> UInt64 in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state >> 40
        }
        let bytes: [UInt8] =
            switch port.type {
            case .f32: numbers.map { Float($0) / 0x1p24 - 0.5 }.withUnsafeBytes { Array($0) }
            case .i32: numbers.map { Int32($0 % 256) }.withUnsafeBytes { Array($0) }
            case .i64: numbers.map { shape.isEmpty ? Int64(16000) : Int64($0 % 256) }.withUnsafeBytes { Array($0) }
            default: throw Failure(text: "input \(port.name) of \(port.text)")
            }
        guard let type = port.type, let value = TensorValue(type: type, shape: shape, bytes: bytes) else {
            throw Failure(text: "input \(port.name)")
        }
        return value
    }

    /// The largest difference of the outputs, and the cosine of the angle between them.
    private static func difference(
        _ found: [String: TensorValue], _ expected: [String: TensorValue]
    ) -> (largest: Double, cosine: Double) {
        var (largest, product, first, second) = (0.0, 0.0, 0.0, 0.0)
        for (name, value) in expected {
            guard let a = value.numbers, let b = found[name]?.numbers else { continue }
            for (a, b) in zip(a, b) {
                largest = max(largest, abs(a - b))
                (product, first, second) = (product + a * b, first + a * a, second + b * b)
            }
        }
        return (largest, product / (first * second).squareRoot())
    }
}

/// What the program cannot go on with.
struct Failure: Error {
    let text: String
}
