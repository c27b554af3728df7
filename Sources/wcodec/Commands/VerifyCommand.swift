import ArgumentParser
import Evaluation
import Execution
import ModelFiles
import WeightArchive

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Restores a packed model and says how it differs from the original: errors by tensor, loss of accuracy.",
        usage: "wcodec verify <original> <file.wcz> [<options>]",
        discussion: """
            The evaluation is any shell command in which {} stands for a model's path, quoted; the last number that it prints \
            is the metric. It runs on the original and on the restored model.

            With --data both networks, of ONNX models, run on the same samples: an array archive (.npz) with an array for each input \
            or x, and labels y; IDX files; a folder of pictures or sounds with labels.csv. Without labels the outputs are compared. \
            docs/data.md specifies the forms and the metrics (top1, top5, mse, cosine, kl, perplexity, f1, wer).

            EXAMPLES
              wcodec verify model.pt model.wcz
              wcodec verify model.onnx model.wcz --data test.npz --max-loss 0.5%
              wcodec verify model.pt model.wcz --eval 'python eval.py {}' --max-loss 0.005
              wcodec verify model.pt model.wcz --eval 'python perplexity.py {}' \\
                --lower-is-better --max-loss 1%
            """)

    @Argument(help: ArgumentHelp("The original model.", valueName: "original"), completion: .file())
    var original: String

    @Argument(help: ArgumentHelp("The packed file.", valueName: "file.wcz"), completion: .file(extensions: ["wcz"]))
    var packed: String

    @Option(help: ArgumentHelp("Evaluation of a model, run on both; {} is the model's path.", valueName: "command"))
    var eval: String?

    @Option(
        name: .customLong("max-loss"),
        help: ArgumentHelp(
            "Most loss of the metric to accept, in its unit or as 1%; more makes the exit status 2.", valueName: "loss")
    )
    var maxLoss: String?

    @Flag(help: "The metric falls as the model gets better (error, cross-entropy, perplexity).")
    var lowerIsBetter = false

    @Option(
        help: ArgumentHelp("Describes the tensors of a raw original, as it did for packing.", valueName: "layers.json"))
    var layout: String?

    @Option(
        help: ArgumentHelp("The model that it was packed against, as --delta named it.", valueName: "base"),
        completion: .file())
    var delta: String?

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup(title: "Data for ONNX models") var data: DataOptions

    @OptionGroup var run: RunOptions

    func validate() throws {
        guard eval == nil || data.data == nil else {
            throw ValidationError("expected --eval or --data, found both")
        }
        guard data.data == nil || !lowerIsBetter else {
            throw ValidationError("--lower-is-better: expected with --eval; of --metric it is known")
        }
        if let maxLoss {
            guard eval != nil || data.data != nil else {
                throw ValidationError("--max-loss: expected with --eval or --data, which measure the loss")
            }
            guard LossLimit(maxLoss) != nil else {
                throw ValidationError("--max-loss: expected a number or a percentage, found '\(maxLoss)'")
            }
        }
    }

    func run() async throws {
        try await reportingErrors {
            let command = try eval.map { text throws(EvaluationError) in try EvaluationCommand(text) }
            let before = try ModelFiles.open(original, layout: layout)
            let trial = try await data.trial(of: before)
            let model = try PackedModel(packed, base: try openBase(delta))
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let restored = try await folder.restore(model, run)
            let comparison = try ModelComparison(before, try ModelFiles.open(restored, layout: layout))
            try before.checkUnchanged()
            var change: MetricChange?
            if let command {
                change = MetricChange(
                    before: try await command.metric(of: original), after: try await command.metric(of: restored),
                    higherIsBetter: !lowerIsBetter)
            }
            let accuracy = try await trial?.compare(with: restored, of: model, run)
            if let accuracy {
                change = accuracy.change
                guard maxLoss == nil || change != nil else {
                    throw DataError.option("--max-loss", expected: "labels, or a --metric", found: "neither")
                }
            }
            let packedNames = Set(model.summary.layers.flatMap { [$0.name] + $0.aliases })
            let wrong = comparison.tensors.filter { !$0.isIdentical && !packedNames.contains($0.name) }.map(\.name)
            let limit = maxLoss.flatMap(LossLimit.init)
            let isAccepted = change.map { limit?.accepts($0) ?? true } ?? true
            if json {
                try printJSON(VerificationDocument(comparison, change, accuracy, accepted: isAccepted && wrong.isEmpty))
            } else if !run.quiet {
                printTensors(comparison)
                if let accuracy, let trial {
                    for line in AccuracyText(accuracy).lines(width: terminalWidth()) + [trial.target.description] {
                        print(line)
                    }
                } else if let change {
                    printChange(change)
                }
            }
            for name in wrong { printError("tensor \(printable(name)): expected the original's bytes, found others") }
            if comparison.foreignDifferences > 0 {
                printError(
                    "\(count(comparison.foreignDifferences, "byte")) outside the tensors: expected the original's, found others"
                )
            }
            if !isAccepted, let change {
                printError("loss \(significant(change.loss)): expected at most \(maxLoss ?? "")")
            }
            guard wrong.isEmpty, comparison.foreignDifferences == 0, isAccepted else {
                throw ExitCode(ExitStatus.verificationFailed.rawValue)
            }
        }
    }

    private func printTensors(_ comparison: ModelComparison) {
        var table = TextTable([
            .init("tensor", alignsRight: false), .init("type", priority: 2), .init("shape", priority: 1), .init("SNR"),
            .init("relative error"), .init("max error"),
        ])
        for tensor in comparison.tensors where !tensor.isIdentical {
            let error = tensor.error
            table.add([
                tensor.name, tensor.dtype, dimensions(tensor.shape),
                error.map { fixed(signalToNoise($0.variance, $0.meanSquaredError), 1) } ?? "-",
                error.map { significant(($0.meanSquaredError / max($0.variance, .leastNormalMagnitude)).squareRoot()) }
                    ?? "-",
                error.map { significant($0.maximumError) } ?? "-",
            ])
        }
        if !table.rows.isEmpty { for line in table.lines(width: terminalWidth()) { print(line) } }
        let identical = comparison.tensors.count { $0.isIdentical }
        let isExact = identical == comparison.tensors.count && comparison.foreignDifferences == 0
        print(
            (isExact ? "bit-exact: " : "")
                + "\(count(identical, "tensor")) of \(comparison.tensors.count) came back bit for bit; all hashes match"
        )
    }

    private func printChange(_ change: MetricChange) {
        let relative = change.before == 0 ? "" : " (\(fixed(change.relativeLoss * 100, 3)) %)"
        print("metric before \(change.before), after \(change.after): loss \(significant(change.loss))\(relative)")
    }
}
