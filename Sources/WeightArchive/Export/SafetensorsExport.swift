import Glibc
import ModelFiles

/// Writes tensors as one safetensors file.
enum SafetensorsExport {
    /// The types that the format has, in the order in which the reference implementation lays tensors down (`Dtype` in
    /// `safetensors/src/tensor.rs`, backwards): the largest first, so that all are aligned.
    static let order = [
        "U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E5M2FNUZ", "F8_E4M3FNUZ",
        "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "F6_E3M2", "F6_E2M3", "F4", "BOOL",
    ]

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - metadata: the header's `__metadata__`.
    ///   - output: the file, not yet made.
    static func write(_ plan: ExportPlan, metadata: [String: String], to output: AtomicFile) throws {
        let ranks = Dictionary(order.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        func key(_ record: TensorRecord) -> (Int, String) { (ranks[record.dtype.rawValue] ?? 0, record.name) }
        let tensors = plan.tensors.sorted { key($0.record) < key($1.record) }
        let file = try output.create()
        defer { close(file) }
        let header = try SafetensorsHeader.bytes(
            for: tensors.map { ($0.record, $0.bytes.count) }, metadata: metadata)
        try withBytes(of: header) { bytes throws(ArchiveError) in
            try writeFully(file, bytes, at: 0, path: output.path)
        }
        var position = header.count
        for (_, bytes) in tensors {
            var offset = 0
            while offset < bytes.count {
                guard !Task.isCancelled else { throw ArchiveError.cancelled }
                let piece = bytes.piece(at: offset)
                try withBytes(of: piece) { piece throws(ArchiveError) in
                    try writeFully(file, piece, at: position + offset, path: output.path)
                }
                offset += piece.count
            }
            position += offset
        }
    }
}
