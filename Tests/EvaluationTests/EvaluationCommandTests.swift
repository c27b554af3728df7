import Foundation
import TestSupport
import Testing

@testable import Evaluation

/// The user's own evaluation of a model.
struct EvaluationCommandTests {
    @Test(
        arguments: [
            ("0.97", 0.97), ("accuracy: 0.97\n", 0.97), ("CE=1.2e-3", 1.2e-3), ("97.5%", 97.5), ("loss -0.25", -0.25),
            ("epoch 1 loss 5\nepoch 2 loss 4.5\n", 4.5), (".5", 0.5), ("+3", 3), ("ended at 1.", 1), ("0.97.", 0.97),
            ("acc=0.9,", 0.9), ("1e5", 1e5), ("7E+2 points", 700), ("a0.1b", 0.1), ("0.97\r\n", 0.97), ("12 e", 12),
            ("\u{1b}[1m0.5\u{1b}[0m done 2", 2), ("0.5\u{301}", 0.5),
        ] as [(String, Double)])
    func theLastNumberIsTheMetric(text: String, metric: Double) {
        #expect(EvaluationCommand.lastNumber(in: text) == metric)
    }

    @Test(arguments: ["", "\n", "none", "-", ".", "+.e", "informal", "nanny", "٣"])
    func otherTextIsNoMetric(text: String) {
        #expect(EvaluationCommand.lastNumber(in: text) == nil)
    }

    @Test(arguments: ["nan", "epoch 3: loss NaN\n", "accuracy=nan", "-nan", "0.5 nan."])
    func aMetricThatIsNotANumberIsNotReplacedByAnother(text: String) throws {
        let metric = try #require(EvaluationCommand.lastNumber(in: text))
        #expect(metric.isNaN)
    }

    @Test(arguments: [("loss inf", Double.infinity), ("3 -inf", -.infinity), ("Infinity", .infinity)])
    func infiniteMetricsAreRead(text: String, metric: Double) {
        #expect(EvaluationCommand.lastNumber(in: text) == metric)
    }

    @Test(
        arguments: [
            "plain", "with space", "with 'quotes' and \"more\"", "$HOME `id` $(id) ; # &", "back\\slash", "új\u{301}",
            "'\u{301};echo 99;'", "-n", "new\nline", "{}",
        ])
    func anyPathReachesTheCommandAsItIs(name: String) async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Array("0.75".utf8), name)
        #expect(try await EvaluationCommand("cat {}").metric(of: path) == 0.75)
        #expect(try await EvaluationCommand("cat {} >/dev/null && wc -c < {}").metric(of: path) == 4)
    }

    @Test func aCommandThatFailsSaysHow() async throws {
        for (command, found) in [
            ("echo 5; exit 3 # {}", "3"), ("nosuchcommand {} 2>/dev/null", "127"), ("echo words # {}", "none"),
            ("true {}", "none"), ("kill -9 $$ # {}", "9"),
        ] {
            let error = await #expect(throws: EvaluationError.self) {
                try await EvaluationCommand(command).metric(of: "/dev/null")
            }
            let text = try #require(error?.description)
            #expect(text.contains("--eval '\(command)'") && text.contains(found) && !text.contains("\n"))
        }
    }

    @Test func aCommandWithoutAPlaceForTheModelIsAnError() {
        #expect(throws: EvaluationError.self) { try EvaluationCommand("python evaluate.py") }
        #expect(throws: EvaluationError.self) { try EvaluationCommand("") }
    }

    @Test func outputThatIsNoTextIsRead() async throws {
        #expect(try await EvaluationCommand(#"printf '\377\376 0.25\n' # {}"#).metric(of: "x") == 0.25)
    }

    @Test func muchOutputIsRead() async throws {
        #expect(
            try await EvaluationCommand("yes 'epoch 1 loss 2' | head -c 3000000; echo 0.125 # {}").metric(of: "x")
                == 0.125)
    }

    @Test func lossesFollowTheDirectionOfTheMetric() {
        #expect(MetricChange(before: 0.9, after: 0.8, higherIsBetter: true).loss > 0)
        #expect(MetricChange(before: 0.9, after: 0.8, higherIsBetter: false).loss < 0)
        #expect((MetricChange(before: -2, after: -3, higherIsBetter: true).relativeLoss - 0.5).magnitude < 1e-12)
        #expect(MetricChange(before: 0, after: 0, higherIsBetter: true).relativeLoss == 0)
        #expect(MetricChange(before: 0, after: -1, higherIsBetter: true).relativeLoss == .infinity)
    }

    @Test(arguments: ["", "%", "x", "1 %", "nan", "inf", "inf%", "1%%", "0.1 "])
    func limitsThatMeanNothingAreRefused(text: String) {
        #expect(LossLimit(text) == nil)
    }

    @Test func limitsAreInTheMetricsUnitOrRelative() throws {
        let change = MetricChange(before: 0.5, after: 0.49, higherIsBetter: true)
        for (text, isAccepted) in [
            ("0.005", false), ("0.011", true), ("1%", false), ("2.1%", true), ("0", false), ("-1", false),
        ] {
            #expect(try #require(LossLimit(text)).accepts(change) == isAccepted, "\(text)")
        }
        let better = MetricChange(before: 0.5, after: 0.6, higherIsBetter: true)
        #expect(try #require(LossLimit("0")).accepts(better))
        for metric in [Double.nan, -.infinity] {
            let lost = MetricChange(before: 0.5, after: metric, higherIsBetter: true)
            #expect(try !#require(LossLimit("1000%")).accepts(lost))
            #expect(try !#require(LossLimit("1000")).accepts(lost))
        }
    }
}
