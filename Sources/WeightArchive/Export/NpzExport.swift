import CZip
import ModelFiles

/// Writes tensors as a NumPy archive: a ZIP of stored `.npy` files.
enum NpzExport {
    /// Writes the file, with the tensors in the order of their names.
    static func write(_ plan: ExportPlan, to output: AtomicFile) throws(ArchiveError) {
        let zip = try ZipOutput(output)
        for (record, bytes) in plan.tensors.sorted(by: { $0.record.name < $1.record.name }) {
            let stream = NpyStream(record, bytes)
            try zip.add("\(record.name).npy", of: stream) { archive in
                zip_source_function(archive, readNpy, Unmanaged.passUnretained(stream).toOpaque())
            }
        }
        do throws(ArchiveError) {
            try zip.close()
        } catch {
            throw Task.isCancelled ? .cancelled : error
        }
    }
}

/// One array file, made while libzip reads it.
private final class NpyStream {
    private let header: [UInt8]
    private let elements: RowMajorBytes
    private let isWidened: Bool
    private var piece: [UInt8] = []
    private var pieceOffset = 0
    private var position = 0

    init(_ record: TensorRecord, _ elements: RowMajorBytes) {
        header = NpyHeader.bytes(for: record)
        self.elements = elements
        isWidened = record.dtype == .bf16
    }

    var size: Int { header.count + elements.count * (isWidened ? 2 : 1) }

    func open() {
        piece = header
        pieceOffset = 0
        position = 0
    }

    func close() { piece = [] }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        if pieceOffset == piece.count {
            guard position < elements.count else { return 0 }
            piece = elements.piece(at: position)
            position += piece.count
            pieceOffset = 0
            // A bfloat16 is the upper half of a float32.
            if isWidened {
                piece = stride(from: 0, to: piece.count, by: 2).flatMap { [0, 0, piece[$0], piece[$0 + 1]] }
            }
        }
        let count = min(buffer.count, piece.count - pieceOffset)
        buffer.copyBytes(from: piece[pieceOffset..<pieceOffset + count])
        pieceOffset += count
        return count
    }
}

/// libzip's questions to an `NpyStream`.
private func readNpy(
    _ state: UnsafeMutableRawPointer?, _ data: UnsafeMutableRawPointer?, _ length: UInt64, _ command: zip_source_cmd_t
) -> Int64 {
    guard let state else { return -1 }
    let stream = Unmanaged<NpyStream>.fromOpaque(state).takeUnretainedValue()
    switch command {
    case ZIP_SOURCE_OPEN:
        stream.open()
        return 0
    case ZIP_SOURCE_READ:
        guard !Task.isCancelled else { return -1 }
        return Int64(stream.read(into: UnsafeMutableRawBufferPointer(start: data, count: Int(length))))
    case ZIP_SOURCE_CLOSE:
        stream.close()
        return 0
    case ZIP_SOURCE_STAT:
        guard let status = data?.assumingMemoryBound(to: zip_stat_t.self) else { return -1 }
        zip_stat_init(status)
        status.pointee.size = UInt64(stream.size)
        status.pointee.valid = UInt64(ZIP_STAT_SIZE)
        return Int64(MemoryLayout<zip_stat_t>.size)
    case ZIP_SOURCE_ERROR:
        // Reading gives up when the work is cancelled, and fails in no other way.
        data?.storeBytes(of: ZIP_ER_CANCELLED, as: Int32.self)
        data?.storeBytes(of: 0, toByteOffset: 4, as: Int32.self)
        return 8
    case ZIP_SOURCE_FREE:
        return 0
    case ZIP_SOURCE_SUPPORTS:
        return [
            ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
        ].reduce(0) { $0 | 1 << Int64($1.rawValue) }
    default:
        return -1
    }
}
