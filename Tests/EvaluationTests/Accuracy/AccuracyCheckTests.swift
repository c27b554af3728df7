import Execution
import Foundation
import ModelFiles
import ModelGraph
import Synchronization
import TestSupport
import Testing

@testable import Evaluation

/// A network that is a function on rows.
private final class FunctionNetwork: LoadedNetwork {
    let inputs: [NetworkPort]
    let outputs: [NetworkPort]
    let loadTime = Duration.zero
    let batches = Mutex<[Int]>([])
    private let function: @Sendable ([Double]) -> [Double]

    init(batch: ModelGraph.Dimension = .symbol("n"), _ function: @escaping @Sendable ([Double]) -> [Double]) {
        inputs = [NetworkPort(name: "x", type: .f32, shape: [batch, .unknown])]
        outputs = [NetworkPort(name: "out", type: .f32, shape: [batch, .unknown])]
        self.function = function
    }

    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
        guard let x = values["x"], let numbers = x.numbers else { return [:] }
        let width = x.count / max(x.shape[0], 1)
        batches.withLock { $0.append(x.shape[0]) }
        let rows = (0..<x.shape[0]).map { function(Array(numbers[$0 * width..<($0 + 1) * width])) }
        return ["out": floats([x.shape[0], rows[0].count], rows.flatMap { $0 })].compactMapValues { $0 }
    }
}

private func floats(_ shape: [Int], _ numbers: [Double]) -> TensorValue? {
    TensorValue(type: .f32, shape: shape, bytes: numbers.flatMap { littleEndian(Float($0).bitPattern) })
}

/// Two networks on the same samples.
struct AccuracyCheckTests {
    /// Samples of one row each.
    private func data(_ rows: [[Double]], labels: [[Double]]? = nil, joins: Bool = true) throws -> DataSet {
        try DataSet(path: "data", count: rows.count, hasLabels: labels != nil, joins: joins) {
            (index) throws(DataError) in
            let value = floats([1, rows[index].count], rows[index])
            return Sample(inputs: ["x": value].compactMapValues { $0 }, label: labels?[index])
        }
    }

    private func check(
        _ a: FunctionNetwork, _ b: FunctionNetwork, _ data: DataSet, _ metric: AccuracyMetric? = nil, batch: Int? = nil,
        threads: Int = 2, blanks: Set<Int> = [0]
    ) async throws -> AccuracyResult {
        try await AccuracyCheck(a, b, data, batch: batch).run(metric, blanks: blanks, threads: threads)
    }

    private let same = FunctionNetwork { $0 }

    @Test func sharesOfRightClassesAreCounted() async throws {
        let rows = [[3.0, 1, 0], [0, 3, 1], [0, 1, 3], [3, 0, 0]]
        let labels = [[0.0], [1], [2], [1]]
        let turned = FunctionNetwork { [$0[1], $0[0], $0[2]] }
        let result = try await check(same, turned, try data(rows, labels: labels))
        #expect(result.metric == "top1" && result.samples == 4 && result.labeled)
        #expect(result.before?.value == 0.75 && result.after?.value == 0.5 && result.loss?.value == 0.25)
        #expect(result.agreement?.value == 0.25 && result.agreement?.method == .wilson)
        #expect(result.before?.method == .wilson && result.loss?.method == .newcombe)
        let five = try await check(same, turned, try data(rows, labels: labels), .top5)
        #expect(five.before?.value == 1 && five.after?.value == 1)
    }

    @Test func logitsAndProbabilitiesAreToldApart() async throws {
        let probability = FunctionNetwork { row in
            let sum = row.reduce(0.0) { (sum: Double, value: Double) -> Double in sum + exp(value) }
            return row.map { exp($0) / sum }
        }
        let rows = [[1.0, 2, 0.5], [0, -1, 2], [0.1, 0.2, 0.3]]
        let labels = [[1.0], [2], [0]]
        let logits = try await check(same, same, try data(rows, labels: labels), .kl)
        let probabilities = try await check(probability, probability, try data(rows, labels: labels), .kl)
        var expected = 0.0
        for (row, label) in zip(rows, labels) {
            let total = row.reduce(0.0) { (sum: Double, value: Double) -> Double in sum + exp(value) }
            expected += (log(total) - row[Int(label[0])]) / 3
        }
        #expect(abs((logits.before?.value ?? 0) - expected) < 1e-6)
        #expect(abs((probabilities.before?.value ?? 0) - expected) < 1e-6)
        #expect(logits.divergence?.value == 0 && logits.agreement?.value == 1)
        let perplexity = try await check(same, same, try data(rows, labels: labels), .perplexity)
        #expect(abs((perplexity.before?.value ?? 0) - exp(expected)) < 1e-6)
    }

    @Test func divergenceIsThatOfTheDistributions() async throws {
        let other = FunctionNetwork { _ in [0.25, 0.75] }
        let half = FunctionNetwork { _ in [0.5, 0.5] }
        let result = try await check(half, other, try data([[0], [1]]), .kl)
        let expected: Double = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
        #expect(abs((result.divergence?.value ?? 0) - expected) < 1e-6)
        #expect(!result.labeled && result.before?.value == 0 && abs((result.loss?.value ?? 0) - expected) < 1e-6)
    }

    @Test func measuresHaveErrorsAndCosines() async throws {
        let twice = FunctionNetwork { $0.map { 2 * $0 } }
        let result = try await check(same, twice, try data([[1, 0], [0, 2]], labels: [[1, 0], [0, 2]]))
        #expect(result.metric == "mse" && result.before?.value == 0 && result.after?.value == 1.25)
        #expect(result.loss?.value == 1.25 && result.cosine.value == 1 && result.relativeError.value == 1)
        #expect(result.agreement == nil && result.divergence == nil)
        let cosine = try await check(same, twice, try data([[1, 0], [0, 2]], labels: [[1, 0], [1, 0]]), .cosine)
        #expect(cosine.before?.value == 0.5 && cosine.loss?.value == 0)
    }

    @Test func f1IsThatOfPrecisionAndRecall() async throws {
        // Right: 1; found: 2; there are: 3.
        let rows = [[0.9], [0.8], [0.1], [0.2]]
        let result = try await check(same, same, try data(rows, labels: [[1], [0], [1], [1]]), .f1)
        #expect(result.before?.value == 2.0 / 5)
        // The mean over three classes: 1, 2/3 and 0.
        let classes = [[9.0, 0, 0], [0, 9, 0], [0, 9, 0]]
        let mean = try await check(same, same, try data(classes, labels: [[0], [1], [2]]), .f1)
        let expected = (1 + 2.0 / 3 + 0) / 3
        #expect(abs((mean.before?.value ?? 0) - expected) < 1e-12)
    }

    @Test func sequencesAreReadWithoutBlanksAndRepeats() async throws {
        // One sample of five steps of three classes: 1 1 0 1 2 reads 1 1 2.
        let scores: [[Double]] = [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
        let steps = FunctionNetwork { row in scores[Int(row[0])] }
        let rows = try DataSet(path: "data", count: 1, hasLabels: true, joins: false) { (_) throws(DataError) in
            Sample(inputs: ["x": floats([5, 1], [0, 1, 2, 3, 4])].compactMapValues { $0 }, label: [1, 2, 2, -1])
        }
        let result = try await check(steps, steps, rows, .wer)
        #expect(abs((result.before?.value ?? 0) - 1.0 / 3) < 1e-12)
        // Without class 2 too: 1 1.
        let fewer = try await check(steps, steps, rows, .wer, blanks: [0, 2])
        #expect(abs((fewer.before?.value ?? 0) - 2.0 / 3) < 1e-12)
    }

    @Test func batchesDoNotChangeTheResult() async throws {
        let rows = (0..<37).map { [Double($0 % 5), Double($0 % 3), 1] }
        let labels = (0..<37).map { [Double($0 % 3)] }
        let halved = FunctionNetwork { [$0[0] / 2, $0[1], $0[2]] }
        let one = try await check(same, halved, try data(rows, labels: labels), .kl, batch: 1, threads: 1)
        for (batch, threads) in [(7, 3), (37, 2), (64, 1)] {
            let other = try await check(
                same, halved, try data(rows, labels: labels), .kl, batch: batch, threads: threads)
            #expect(other.before?.value == one.before?.value && other.loss?.high == one.loss?.high)
        }
        // A network of a fixed batch gets full ones only.
        let fixed = FunctionNetwork(batch: .size(4)) { $0 }
        let result = try await check(fixed, fixed, try data(rows, labels: labels), .kl)
        #expect(result.before?.value == one.before?.value && result.samples == 37)
        #expect(fixed.batches.withLock { $0.allSatisfy { $0 == 4 } })
    }

    @Test func mistakesAreNamed() async throws {
        let rows = try data([[1, 2, 3]], labels: [[3]])
        let plain = try data([[1, 2, 3]])
        func text(_ body: () async throws -> AccuracyResult) async -> String {
            do { return "\(try await body())" } catch { return "\(error)" }
        }
        #expect(await text { try await check(same, same, rows) }.contains("classes from 0 to 2, found 3"))
        #expect(await text { try await check(same, same, plain, .top5) }.contains("expected labels, found none"))
        #expect(await text { try await check(same, same, rows, .mse) }.contains("expected 3 values, found 1 label"))
        #expect(throws: DataError.self) { try AccuracyCheck(same, same, rows, output: "z") }
        let nan = try data([[1, 2, 3]], labels: [[.nan]])
        #expect(await text { try await check(same, same, nan) }.contains("finite"))
    }
}
