import Testing

@testable import WeightMapper

@Suite struct LayerClassifierTests {
    static let model: [String: [Int]] = [
        "lstm.weight_ih_l0": [1024, 40], "lstm.weight_hh_l0": [1024, 256],
        "lstm.weight_ih_l0_reverse": [1024, 40], "lstm.weight_hh_l0_reverse": [1024, 256],
        "gru.weight_ih_l1": [768, 64], "gru.weight_hh_l1": [768, 256],
        "rnn.weight_ih_l0": [64, 32], "rnn.weight_hh_l0": [64, 64],
        "proj.weight_ih_l0": [512, 80], "proj.weight_hh_l0": [512, 32], "proj.weight_hr_l0": [32, 128],
        "decoder.rnn.weight_ih": [512, 128], "decoder.rnn.weight_hh": [512, 128],
        "enc_w_ih": [768, 256], "enc_w_hh": [768, 256], "w_ih": [512, 64], "w_hh": [512, 128], "enc_emb": [29, 256],
        "new_ih": [768, 256], "lstm/kernel:0": [100, 512], "lstm/recurrent_kernel:0": [128, 512],
        "gru/kernel": [100, 384], "gru/recurrent_kernel": [128, 384],
        "dense/kernel:0": [128, 10], "conv/kernel:0": [3, 3, 16, 32], "block/depthwise_kernel:0": [3, 3, 16, 1],
        "embeddings.word_embeddings.weight": [30522, 384], "wte.embed.weight": [100, 8],
        "encoder.layer.0.attention.self.query.weight": [384, 384], "classifier.weight": [10, 64],
        "conv1.weight": [64, 3, 7, 7], "dw.weight": [144, 1, 3, 3], "stft.forward_basis_buffer": [258, 1, 256],
        "conv3d.weight": [64, 3, 3, 7, 7], "experts.w1": [8, 4096, 14336], "conv1d.weight": [128, 129, 3],
    ]

    @Test(arguments: [
        ("lstm.weight_ih_l0", LayerKind.lstm), ("lstm.weight_hh_l0", .lstm), ("lstm.weight_hh_l0_reverse", .lstm),
        ("gru.weight_ih_l1", .gru), ("gru.weight_hh_l1", .gru), ("rnn.weight_ih_l0", .fc), ("proj.weight_ih_l0", .lstm),
        ("proj.weight_hh_l0", .lstm), ("proj.weight_hr_l0", .fc), ("decoder.rnn.weight_ih", .lstm),
        ("enc_w_ih", .gru), ("enc_w_hh", .gru), ("w_ih", .lstm), ("w_hh", .lstm), ("enc_emb", .embedding),
        ("new_ih", .fc),
        ("lstm/kernel:0", .lstm), ("lstm/recurrent_kernel:0", .lstm), ("gru/kernel", .gru),
        ("gru/recurrent_kernel", .gru),
        ("dense/kernel:0", .fc), ("conv/kernel:0", .conv), ("block/depthwise_kernel:0", .depthwise),
        ("embeddings.word_embeddings.weight", .embedding), ("wte.embed.weight", .embedding),
        ("encoder.layer.0.attention.self.query.weight", .fc), ("classifier.weight", .fc), ("conv1.weight", .conv),
        ("dw.weight", .depthwise), ("stft.forward_basis_buffer", .conv), ("conv3d.weight", .conv), ("experts.w1", .fc),
        ("conv1d.weight", .conv),
    ])
    func kindIsToldFromNameAndShape(name: String, kind: LayerKind) throws {
        let shape = try #require(Self.model[name])
        let found = LayerClassifier(shapes: Self.model).classify(name, shape)
        #expect(found.kind == kind)
        let geometry = try LayerGeometry(kind: found.kind, shape: shape, convention: found.convention)
        #expect(geometry.count == shape.reduce(1, *))
    }

    @Test func channelsAreOutputRows() throws {
        func channels(_ kind: LayerKind, _ shape: [Int], _ convention: LayoutConvention = .pytorch) throws -> [Int] {
            let channels = try LayerGeometry(kind: kind, shape: shape, convention: convention).channels
            return [channels.count, channels.inner]
        }
        #expect(try channels(.fc, [10, 64]) == [10, 64])
        #expect(try channels(.fc, [64, 10], .keras) == [10, 1])
        #expect(try channels(.conv, [32, 16, 3, 3]) == [32, 144])
        #expect(try channels(.conv, [3, 3, 16, 32], .keras) == [32, 1])
        #expect(try channels(.depthwise, [144, 1, 3, 3]) == [144, 9])
        #expect(try channels(.lstm, [1024, 40]) == [1024, 40])
        #expect(try channels(.lstm, [2, 1024, 40], .onnx) == [2048, 40])
        #expect(try channels(.lstm, [40, 1024], .keras) == [1024, 1])
        #expect(try channels(.fc, [10, 64], .tflite) == [10, 64])
        #expect(try channels(.conv, [32, 3, 3, 16], .tflite) == [32, 144])
        #expect(try channels(.depthwise, [1, 3, 3, 144], .tflite) == [144, 1])
        #expect(try channels(.fc, [10_000]) == [100, 100])
    }

    @Test func axesAreThoseOfTheConvention() throws {
        func roles(_ kind: LayerKind, _ shape: [Int], _ convention: LayoutConvention) throws -> [LayerGeometry.Role] {
            try LayerGeometry(kind: kind, shape: shape, convention: convention).axes.map(\.role)
        }
        #expect(try roles(.conv, [32, 3, 5, 16], .tflite) == [.output, .kernelY, .kernelX, .input])
        #expect(try roles(.conv, [32, 2, 3, 5, 16], .tflite) == [.output, .kernelZ, .kernelY, .kernelX, .input])
        #expect(try roles(.depthwise, [1, 3, 5, 16], .tflite) == [.kernelY, .kernelX, .group])
        #expect(try roles(.embedding, [10, 4], .tflite) == [.output, .input])
        #expect(try roles(.lstm, [40, 6], .tflite) == [.gate, .output, .input])
    }

    @Test func impossibleShapesAreRefused() {
        #expect(throws: MapperError.self) { try LayerGeometry(kind: .lstm, shape: [10, 4]) }
        #expect(throws: MapperError.self) { try LayerGeometry(kind: .conv, shape: [10, 4]) }
        #expect(throws: MapperError.self) { try LayerGeometry(kind: .depthwise, shape: [10, 4, 3, 3]) }
        #expect(throws: MapperError.self) {
            try LayerGeometry(kind: .depthwise, shape: [2, 3, 3, 4], convention: .tflite)
        }
        #expect(throws: MapperError.self) {
            try LayerGeometry(kind: .fc, axes: [.init(.output, .max), .init(.input, 3)], count: 10)
        }
        #expect(throws: MapperError.self) {
            try LayerGeometry(kind: .fc, axes: [.init(.output, 4), .init(.input, 3)], count: 9)
        }
    }
}
