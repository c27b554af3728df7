import ArgumentParser

@main
struct Wcodec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Compresses the weights of neural networks with media codecs.")
}
