import TestSupport
import Testing

@testable import ModelFiles

/// The rules of the file's form: what is recognized, what is refused, and what hostile files cannot do.
struct ONNXFormTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func error(_ bytes: [UInt8]) throws -> String? { openingError(try folder.write(bytes)) }

    private static let graph = ONNXBytes.field(
        5, ONNXBytes.tensor("w", [2, 2], ONNXBytes.field(9, [UInt8](repeating: 1, count: 16))))

    @Test func modelsAreRecognizedInAnyOrderOfFields() throws {
        let parts = [
            ONNXBytes.number(1, 8), ONNXBytes.text(2, "by hand"), ONNXBytes.field(7, Self.graph),
            ONNXBytes.field(8, ONNXBytes.number(2, 17)), ONNXBytes.field(30, [1, 2, 3]),
            ONNXBytes.field(14, ONNXBytes.text(1, "key")),
        ]
        var generator = SeededGenerator(3)
        for _ in 0..<50 {
            let bytes = parts.shuffled(using: &generator).flatMap(\.self)
            let model = try ModelFiles.open(try folder.write(bytes))
            #expect(model.format == .onnx)
            #expect(model.tensors.map(\.name) == ["w"])
        }
    }

    @Test func randomNumbersAreNoModel() throws {
        var generator = SeededGenerator(4)
        for start in [[], [0x08], [0x3a], [0x08, 0x08, 0x3a]] as [[UInt8]] {
            for _ in 0..<300 {
                let bytes = start + (0..<(64 - start.count)).map { _ in UInt8.random(in: 0...255, using: &generator) }
                let isModel = ONNX.recognizes(try MappedFile(try folder.write(bytes)))
                // Only a version and the beginning of a graph make one.
                if isModel { #expect(start.count == 3 || bytes.contains(0x3a) && bytes.contains(0x08)) }
                if start.isEmpty { #expect(!isModel) }
            }
        }
    }

    @Test(arguments: [
        ("ir_version: 8\ngraph {\n  name: \"g\"\n}\n", "as text"), ("{\"irVersion\":\"8\",\"graph\":{}}", "as text"),
        ("<\n  ir_version: 8,\n  opset_import: [\"\" : 17]\n>\nmain (float[2] x) => (y) { y = Relu(x) }", "as text"),
        ("\u{18}\0\0\0ORTM\u{1}\u{2}\0\0", "ONNX Runtime"),
    ])
    func otherFormsAreNamed(content: String, expected: String) throws {
        let error = try #require(try error(Array(content.utf8)))
        #expect(error.contains(expected) && error.contains("does not read;"))
    }

    @Test(
        arguments: [
            (ONNXBytes.number(1, 8) + ONNXBytes.field(7, graph), "operator sets"),
            (ONNXBytes.model(graph: graph) + ONNXBytes.field(7, graph), "one graph"),
            (ONNXBytes.model(graph: graph) + [0x0f], "wire type"),
            (ONNXBytes.model(graph: graph) + [0x3b], "end of group 7"),
            (ONNXBytes.model(graph: graph) + [0x3b, 0x44], "end of the group"),
            (ONNXBytes.model(graph: graph) + [0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "bytes"),
            (ONNXBytes.model(graph: graph) + [UInt8](repeating: 0xff, count: 11), "10 bytes"),
            (ONNXBytes.model(graph: graph) + [0x00, 0x00], "field number"),
            (ONNXBytes.model(graph: graph) + (0..<200).flatMap { _ in [0xbb, 0x06] as [UInt8] }, "100 nested groups"),
            (ONNXBytes.model(graph: ONNXBytes.text(2, "empty")), "at least one tensor"),
            (ONNXBytes.model(graph: ONNXBytes.field(5, ONNXBytes.tensor("w", [1 << 63, 2], []))), "shape"),
            (ONNXBytes.model(graph: ONNXBytes.field(5, ONNXBytes.tensor("w", [1 << 62, 2], []))), "shape"),
            (
                ONNXBytes.model(graph: ONNXBytes.field(5, ONNXBytes.tensor("w", [3], ONNXBytes.field(9, [1, 2])))),
                "12 bytes for F32 [3]"
            ),
            (ONNXBytes.model(graph: ONNXBytes.field(5, [0x42, 0x02, 0xff, 0xfe])), "onnx.TensorProto"),
        ] as [([UInt8], String)])
    func brokenModelsAreRefused(bytes: [UInt8], expected: String) throws {
        let error = try #require(try error(bytes))
        #expect(error.contains(expected))
        #expect(!error.contains("\n"))
    }

    @Test(arguments: [32, 33, 40, 5000])
    func nestedGraphsAreBounded(depth: Int) throws {
        var inner = Self.graph
        // A branch in an attribute of a node is one more graph.
        for _ in 1..<depth {
            inner = ONNXBytes.node(
                "If", [], [], ONNXBytes.field(5, ONNXBytes.text(1, "then_branch") + ONNXBytes.field(6, inner)))
        }
        let path = try folder.write(ONNXBytes.model(graph: inner))
        if depth <= 32 {
            let model = try ModelFiles.open(path)
            #expect(model.tensors[0].name == String(repeating: "n/then_branch/", count: 31) + "w")
        } else {
            #expect(openingError(path)?.contains("32 nested graphs") == true)
        }
    }

    @Test func equalNamesAreToldApart() throws {
        let model = try ModelFiles.open(
            try folder.write(ONNXBytes.model(graph: (0..<3000).flatMap { _ in Self.graph })))
        #expect(Set(model.tensors.map(\.name)).count == 3000)
        #expect(model.tensors.prefix(3).map(\.name) == ["w", "w#2", "w#3"])
    }

    @Test func nodesInACircleAreLeft() throws {
        let circle =
            ONNXBytes.node("Concat", ["w", "b"], ["a"]) + ONNXBytes.node("Identity", ["a"], ["b"])
            + ONNXBytes.node("Identity", ["w"], ["w"]) + ONNXBytes.node("MatMul", ["x", "b"], ["y"])
        let model = try ModelFiles.open(try folder.write(ONNXBytes.model(beside: circle)))
        #expect(model.tensors.map(\.kindHint) == ["fc"])
    }

    @Test func aFunctionThatCallsItselfIsLeft() throws {
        let call = ONNXBytes.node("f", ["w"], ["y"], ONNXBytes.text(7, "d"))
        let function = ONNXBytes.field(
            25,
            ONNXBytes.text(1, "f") + ONNXBytes.text(10, "d") + ONNXBytes.text(4, "w") + ONNXBytes.field(7, call.body))
        let model = try ModelFiles.open(try folder.write(ONNXBytes.model(beside: call) + function))
        #expect(model.tensors.map(\.kindHint) == [nil])
    }

    @Test func aWeightThatManyReadIsFound() throws {
        let readers = (0..<5000).flatMap { ONNXBytes.node("Relu", ["w"], ["r\($0)"]) }
        let bytes = ONNXBytes.model(beside: ONNXBytes.node("MatMul", ["x", "w"], ["y"]) + readers)
        #expect(try ModelFiles.open(try folder.write(bytes)).tensors.map(\.kindHint) == ["fc"])
    }

    @Test func emptyTensorsAreListed() throws {
        let tensor = ONNXBytes.field(5, ONNXBytes.tensor("none", [0, 7], []))
        let model = try ModelFiles.open(try folder.write(ONNXBytes.model(graph: tensor)))
        #expect(model.tensors.map(\.extent.length) == [0])
    }

    @Test func numbersOfMoreThanSixteenBitsAreRefused() throws {
        let numbers = (0..<1024).flatMap { _ in ONNXBytes.varint(0x1_0000) }
        let half = ONNXBytes.number(1, 1024) + ONNXBytes.number(2, 10) + ONNXBytes.text(8, "h")
        let error = try error(ONNXBytes.model(graph: ONNXBytes.field(5, half + ONNXBytes.field(5, numbers))))
        #expect(error?.contains("16 bits") == true)
        let short = try self.error(ONNXBytes.model(graph: ONNXBytes.field(5, half + ONNXBytes.field(5, [1, 2, 3]))))
        #expect(short?.contains("2048 bytes of values") == true)
    }
}

extension [UInt8] {
    /// The content of the one field that these bytes are, of less than 128 bytes.
    fileprivate var body: [UInt8] { Array(dropFirst(2)) }
}
