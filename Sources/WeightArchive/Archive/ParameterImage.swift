import Codecs

/// The quantizers' parameters of all tensors as one gray 8-bit PNG, folded to rows: small tensors would pay more for a stream
/// of their own than for their ranges.
struct ParameterImage {
    /// The PNG.
    let stream: [UInt8]
    let blob: Manifest.Blob

    /// `nil` when there are no parameters.
    init?(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return nil }
        let width = min(bytes.count, 1024)
        let height = (bytes.count + width - 1) / width
        let codec = try CodecRegistry.codec("png")
        stream = try codec.encode(try FrameFormat(width: width, height: height, bitDepth: 8), count: 1) { _, buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            buffer.copyBytes(from: bytes)
        }
        blob = Manifest.Blob(
            bytes: bytes.count, stored: stream.count, hash: stream.withUnsafeBytes { Hasher128.hash($0) }, width: width,
            height: height)
    }

    /// The parameters of all tensors.
    static func read(_ stream: [UInt8], _ blob: Manifest.Blob) throws -> [UInt8] {
        let codec = try CodecRegistry.codec("png")
        let format = try FrameFormat(width: blob.width, height: blob.height, bitDepth: 8)
        guard blob.bytes >= 0, blob.bytes <= format.byteCount else {
            throw CodecError.badFormat(
                "\(EntryName.parameters): \(blob.bytes) bytes do not fit its \(format.byteCount) pixels")
        }
        var bytes: [UInt8] = []
        try stream.withUnsafeBytes { stream in
            try codec.decode(stream, format, count: 1) { _, frame in bytes = Array(frame.prefix(blob.bytes)) }
        }
        return bytes
    }
}
