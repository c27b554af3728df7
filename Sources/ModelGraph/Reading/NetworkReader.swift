import ModelFiles

extension Network {
    /// Reads the representation of a network from whatever file holds one.
    ///
    /// An ONNX model holds its graph; so does a file of the form that ``json()`` writes. Of a file of weights the layers are made
    /// from names and shapes, see ``init(weights:kinds:)``.
    ///
    /// - Parameters:
    ///   - path: the file, or a folder of weights.
    ///   - kinds: tells the kind of a layer ("fc", "conv", "depthwise", "lstm", "gru", "embedding") and the order of its
    ///     dimensions ("pytorch", "keras", "transposed", "tflite") by its tensor; `nil` for what is no layer.
    /// - Throws: `GraphError` for a file that holds no network, and for graphs that do not hold together.
    public static func open(_ path: String, kinds: WeightKinds) throws(GraphError) -> Network {
        if let network = try readingGraph(path) { return network }
        let model = try readingFile { () throws(ModelFileError) in try ModelFiles.open(path) }
        return try Network(weights: model, kinds: kinds)
    }

    /// The graph that a file itself holds; `nil` when it holds weights only, is a folder or is not there.
    private static func readingGraph(_ path: String) throws(GraphError) -> Network? {
        guard let file = try? MappedFile(path) else { return nil }
        if ModelFiles.isONNX(file) { return try ONNXNetwork.read(file) }
        let json = file.withAllBytes { bytes -> [UInt8]? in
            guard bytes.first(where: { !$0.isWhitespace }) == UInt8(ascii: "{"), bytes.count <= largestJSON,
                let text = String(validating: bytes, as: UTF8.self), text.utf8.contains(Array("\"\(jsonFormat)\"".utf8))
            else { return nil }
            return Array(bytes)
        }
        return try json.map { (json) throws(GraphError) in try Network(json: json, source: path) }
    }
}

extension UInt8 {
    fileprivate var isWhitespace: Bool { self == 32 || (9...13).contains(self) }
}
