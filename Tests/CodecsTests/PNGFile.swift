import TestSupport

/// A PNG file taken apart into its chunks, to be put together otherwise.
struct PNGFile {
    struct Chunk: Equatable {
        var type: String
        var data: [UInt8]
    }

    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    var chunks: [Chunk] = []

    init(_ file: [UInt8]) {
        var position = Self.signature.count
        while position + 12 <= file.count {
            let length = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            let data = position + 8..<position + 8 + length
            chunks.append(
                Chunk(
                    type: String(decoding: file[position + 4..<position + 8], as: UTF8.self), data: Array(file[data])))
            position = data.upperBound + 4
        }
    }

    /// The compressed picture.
    var pictureData: [UInt8] { chunks.filter { $0.type == "IDAT" }.flatMap(\.data) }

    /// The same file with its picture in other chunks.
    func replacing(picture: [Chunk]) -> PNGFile {
        var file = self
        let start = chunks.firstIndex { $0.type == "IDAT" } ?? chunks.count
        file.chunks.removeAll { $0.type == "IDAT" }
        file.chunks.insert(contentsOf: picture, at: start)
        return file
    }

    /// The file with sound checksums.
    var bytes: [UInt8] {
        chunks.reduce(into: Self.signature) { (file, chunk) in
            let body = Array(chunk.type.utf8) + chunk.data
            file += Self.bigEndian(UInt32(chunk.data.count)) + body + Self.bigEndian(crc32(body))
        }
    }

    private static func bigEndian(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }
}
