import ArgumentParser

@main
struct Wcodec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wcodec",
        abstract: "Compresses the weights of neural networks as images, video or audio, and restores them.",
        discussion: """
            EXAMPLES
              wcodec pack weights.bin --as video        makes weights.wcz
              wcodec unpack weights.wcz                 gives the model back
              wcodec report weights.wcz                 compression ratio, layer by layer
              wcodec verify weights.bin weights.wcz     what packing changed
              wcodec inspect weights.wcz                what is inside
              wcodec graph model.onnx                   the layers of a network
              wcodec estimate model.onnx                the memory and compute that it needs
              wcodec run model.onnx --input x.npy       what it makes of an input
              wcodec tune model.onnx --data x.npz       the fastest way to run each layer

            EXIT STATUS
              0   done
              1   anything else that went wrong
              2   verify: wrong bytes, or more loss than --max-loss
              64  wrong arguments
              65  bad input: no model, damaged, or not what the options say
              66  an input that cannot be read
              69  a codec or an engine that this machine does not have
              73  an output that cannot be created, or exists already
              130 interrupted
            """,
        version: "0.1.0",
        subcommands: [
            PackCommand.self, UnpackCommand.self, ReportCommand.self, VerifyCommand.self, InspectCommand.self,
            GraphCommand.self, EstimateCommand.self, RunCommand.self, TuneCommand.self, CodecsCommand.self,
        ])

    static func main() async {
        watchStandardOutput()
        await main(nil)
    }
}
