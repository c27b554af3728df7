/// An element type of GGUF: plain numbers, or blocks of numbers that share scales.
///
/// Source: `ggml_type` in ggml's `ggml.h` and `GGML_QUANT_SIZES` in gguf-py's `constants.py`.
struct GGMLType {
    /// As safetensors names it where it does, else as gguf-py does.
    let dtype: DType
    /// Elements in a block; 1 for plain numbers.
    let blockElements: Int
    /// Bytes of a block.
    let blockBytes: Int

    private init(_ name: String, _ elements: Int, _ bytes: Int) {
        dtype = DType(rawValue: name)
        blockElements = elements
        blockBytes = bytes
    }

    /// The type of a number in a file, or nil for one that was removed or is not known.
    init?(number: UInt32) {
        guard let type = Self.all[number] else { return nil }
        self = type
    }

    /// The types by their numbers.
    private static let all: [UInt32: GGMLType] = [
        0: .init("F32", 1, 4), 1: .init("F16", 1, 2), 24: .init("I8", 1, 1), 25: .init("I16", 1, 2),
        26: .init("I32", 1, 4), 27: .init("I64", 1, 8), 28: .init("F64", 1, 8), 30: .init("BF16", 1, 2),
        2: .init("Q4_0", 32, 18), 3: .init("Q4_1", 32, 20), 6: .init("Q5_0", 32, 22), 7: .init("Q5_1", 32, 24),
        8: .init("Q8_0", 32, 34), 9: .init("Q8_1", 32, 40), 10: .init("Q2_K", 256, 84), 11: .init("Q3_K", 256, 110),
        12: .init("Q4_K", 256, 144), 13: .init("Q5_K", 256, 176), 14: .init("Q6_K", 256, 210),
        15: .init("Q8_K", 256, 292), 16: .init("IQ2_XXS", 256, 66), 17: .init("IQ2_XS", 256, 74),
        18: .init("IQ3_XXS", 256, 98), 19: .init("IQ1_S", 256, 50), 20: .init("IQ4_NL", 32, 18),
        21: .init("IQ3_S", 256, 110), 22: .init("IQ2_S", 256, 82), 23: .init("IQ4_XS", 256, 136),
        29: .init("IQ1_M", 256, 56), 34: .init("TQ1_0", 256, 54), 35: .init("TQ2_0", 256, 66),
        39: .init("MXFP4", 32, 17), 40: .init("NVFP4", 64, 36), 41: .init("Q1_0", 128, 18),
    ]

    /// The types whose elements come in blocks.
    static let blocks = Set(all.values.filter { $0.blockElements > 1 }.map(\.dtype))
}

extension DType {
    /// Whether elements come in blocks that share scales, as GGUF's quantized types have them: such a tensor's size is known
    /// from its extent only.
    public var isBlockQuantized: Bool { GGMLType.blocks.contains(self) }
}
