/// Names what a file is when it is none of the formats read here, from its content.
enum ForeignContent {
    /// The error for content that is known and not read, or nil for content that nothing here knows.
    static func refusal(of file: MappedFile) -> ModelFileError? {
        file.withAllBytes { bytes in
            for model in models where bytes.starts(with: model.signature, at: model.offset) {
                return .unsupported(path: file.path, found: model.found, advice: model.advice)
            }
            for other in others where bytes.starts(with: other.signature, at: other.offset) {
                return .notAModel(path: file.path, found: other.found)
            }
            guard isText(bytes) else { return nil }
            return isONNXText(bytes)
                ? .unsupported(
                    path: file.path, found: "an ONNX model as text", advice: "save it in binary form with onnx.save")
                : .notAModel(path: file.path, found: "a text file")
        }
    }

    private struct Signature {
        let found: String
        let signature: [UInt8]
        let offset: Int
        let advice: String?

        init(_ found: String, _ signature: [UInt8], at offset: Int = 0, advice: String? = nil) {
            self.found = found
            self.signature = signature
            self.offset = offset
            self.advice = advice
        }
    }

    private static let models = [
        Signature("a GGML model", Array("lmgg".utf8)),
        // Read as float32, its float16 values and headers would pass for weights.
        Signature(
            "a Core ML weight file", [0xef, 0xbe, 0xad, 0xde], at: 64,
            advice: "pack the model that it was converted from"),
        Signature(
            "an ONNX Runtime model (.ort)", Array("ORTM".utf8), at: 4, advice: "pack the .onnx file that it was made of"
        ),
        Signature(
            "a tar archive (PyTorch before 0.1.10 wrote such)", Array("ustar".utf8), at: 257,
            advice: "if it is a checkpoint, load it with PyTorch and save it again"),
    ]

    private static let others = [
        Signature("a PNG image", [0x89] + Array("PNG\r\n".utf8)),
        Signature("a JPEG image", [0xff, 0xd8, 0xff]),
        Signature("a gzip file", [0x1f, 0x8b, 0x08]),
        Signature("a zstd file", [0x28, 0xb5, 0x2f, 0xfd]),
        Signature("an xz file", [0xfd] + Array("7zXZ".utf8)),
        Signature("a bzip2 file", Array("BZh".utf8)),
        Signature("a 7z archive", Array("7z".utf8) + [0xbc, 0xaf, 0x27, 0x1c]),
        Signature("a program or library (ELF)", [0x7f] + Array("ELF".utf8)),
        Signature("a PDF document", Array("%PDF".utf8)),
        Signature("a Matroska or WebM video", [0x1a, 0x45, 0xdf, 0xa3]),
        Signature("a FLAC audio file", Array("fLaC".utf8)),
        Signature("a RIFF file (WAV, AVI or WebP)", Array("RIFF".utf8)),
        Signature("an Ogg file", Array("OggS".utf8)),
        Signature("an SQLite database", Array("SQLite format 3".utf8)),
        Signature("a Python pickle without a PyTorch checkpoint", [0x80, 0x02]),
        Signature("a Python pickle without a PyTorch checkpoint", [0x80, 0x03]),
        Signature("a Python pickle without a PyTorch checkpoint", [0x80, 0x04]),
        Signature("a Python pickle without a PyTorch checkpoint", [0x80, 0x05]),
    ]

    /// Whether text names the first field of an ONNX model, in the forms of protocol buffers, of JSON or of onnx.printer.
    private static func isONNXText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let head = String(decoding: bytes.prefix(512), as: UTF8.self)
        return ["ir_version:", "\"irVersion\":", "\"ir_version\":"].contains { head.contains($0) }
    }

    private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let head = bytes.prefix(512)
        return !head.isEmpty && head.allSatisfy { $0 >= 0x20 && $0 != 0x7f || (0x09...0x0d).contains($0) }
            && (String(validating: head, as: UTF8.self) != nil || head.allSatisfy { $0 < 0x80 })
    }
}
