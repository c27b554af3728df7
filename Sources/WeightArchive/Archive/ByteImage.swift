import Codecs

/// Bytes of many tensors as one gray 8-bit PNG, folded to rows: small tensors would pay more for a stream of their own than for
/// what it holds.
struct ByteImage {
    /// The PNG.
    let stream: [UInt8]
    let blob: Manifest.Blob

    /// The smallest picture that one of some codecs makes; `nil` when there are no bytes.
    ///
    /// - Parameter rowLength: the most bytes of a row.
    init?(_ bytes: [UInt8], rowLength: Int, codecs: [String] = ["png"]) throws {
        guard !bytes.isEmpty else { return nil }
        let width = min(bytes.count, rowLength)
        let height = (bytes.count + width - 1) / width
        let format = try FrameFormat(width: width, height: height, bitDepth: 8)
        let streams = try codecs.map { codec in
            try CodecRegistry.codec(codec).encode(format, count: 1) { _, buffer in
                buffer.initializeMemory(as: UInt8.self, repeating: 0)
                buffer.copyBytes(from: bytes)
            }
        }
        let stream = streams.min { $0.count < $1.count } ?? []
        self.stream = stream
        blob = Manifest.Blob(
            bytes: bytes.count, stored: stream.count, hash: stream.withUnsafeBytes { Hasher128.hash($0) }, width: width,
            height: height)
    }

    /// The bytes that a picture in a packed file holds.
    ///
    /// - Throws: `ArchiveError.damaged` for a picture other than its description says, or too large for its entry.
    static func read(_ entry: String, _ blob: Manifest.Blob, _ reader: ArchiveReader) throws -> [UInt8] {
        let stream = try reader.read(entry)
        try stream.withUnsafeBytes { try expect(blob.hash, Hasher128.hash($0), entry, reader.path) }
        // Deflate does not get more gray pixels into a byte.
        let (pixels, overflow) = blob.width.multipliedReportingOverflow(by: blob.height)
        guard blob.width > 0, blob.height > 0, !overflow, pixels / 1032 <= stream.count else {
            throw ArchiveError.damaged(
                path: reader.path, part: entry, expected: "an image of its size", found: "\(stream.count) bytes")
        }
        let codec = try CodecRegistry.codec("png")
        let format = try FrameFormat(width: blob.width, height: blob.height, bitDepth: 8)
        guard blob.bytes >= 0, blob.bytes <= format.byteCount else {
            throw CodecError.badFormat("\(entry): \(blob.bytes) bytes do not fit its \(format.byteCount) pixels")
        }
        var bytes: [UInt8] = []
        try stream.withUnsafeBytes { stream in
            try codec.decode(stream, format, count: 1) { _, frame in bytes = Array(frame.prefix(blob.bytes)) }
        }
        return bytes
    }
}
