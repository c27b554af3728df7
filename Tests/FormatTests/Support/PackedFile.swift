import CXXHash
import Foundation
import TestSupport
import Testing

/// A packed file, read by the rules of `docs/format.md` and with no code of the library.
struct PackedFile {
    struct Entry {
        let name: String
        let offset: Int
        let method, flags, time, date: Int
        /// What it holds, inflated.
        let data: Data
        /// Where it ends in the file.
        let end: Int
    }

    let data: Data
    let entries: [Entry]
    let manifest: Manifest

    /// The fields that the rules are about.
    struct Manifest: Decodable {
        struct Source: Decodable {
            struct File: Decodable {
                let name: String
                let size: Int
                let skeleton: String
            }
            let format: String
            let files: [File]
        }
        struct Parameters: Decodable { let bytes, stored, width, height: Int, hash: String }
        struct Stream: Decodable { let entry, codec: String, width, height, frames, bits: Int, hash: String }
        struct Tensor: Decodable {
            struct Packed: Decodable {
                let bits: Int
                let ranges: String
                let parameters: [Int]
                let block: [Int]?
                let stream, frame, frames: Int
                let transposed: Bool?
            }
            let name, dtype: String
            let shape, at: [Int]
            let kept: String?
            let inSkeleton, inPicture: Bool?
            let packed: Packed?
        }
        let format: String
        let version: Int
        let medium: String
        let source: Source
        let parameters, kept: Parameters?
        let exact: String?
        let streams: [Stream]
        let tensors: [Tensor]
    }

    init(_ path: String) throws {
        let data = try Data(contentsOf: URL(filePath: path))
        // The end record of 22 bytes, then the comment of 50.
        let end = data.count - 72
        try #require(end >= 0 && data.number(end, 4) == 0x0605_4B50 && data.number(end + 20, 2) == 50)
        var place = data.number(end + 16, 4)
        try #require(place + data.number(end + 12, 4) == end)
        var entries: [Entry] = []
        for _ in 0..<data.number(end + 10, 2) {
            try #require(data.number(place, 4) == 0x0201_4B50)
            let nameLength = data.number(place + 28, 2)
            let others = data.number(place + 30, 2) + data.number(place + 32, 2)
            let offset = data.number(place + 42, 4)
            try #require(data.number(offset, 4) == 0x0403_4B50 && others == 0 && data.number(offset + 28, 2) == 0)
            let start = offset + 30 + nameLength
            let name = data[place + 46..<place + 46 + nameLength]
            #expect(name == data[offset + 30..<start])
            #expect(data[place + 6..<place + 30] == data[offset + 4..<offset + 28])
            let stored = data[start..<start + data.number(place + 20, 4)]
            let method = data.number(place + 10, 2)
            entries.append(
                Entry(
                    name: String(decoding: name, as: UTF8.self), offset: offset, method: method,
                    flags: data.number(place + 8, 2), time: data.number(place + 12, 2),
                    date: data.number(place + 14, 2),
                    data: method == 8 ? Data(inflate(Array(stored), data.number(place + 24, 4))) : stored,
                    end: stored.endIndex))
            place += 46 + nameLength
        }
        self.data = data
        self.entries = entries
        manifest = try JSONDecoder().decode(Manifest.self, from: try #require(entries.first).data)
    }

    subscript(name: String) -> Data? { entries.first { $0.name == name }?.data }
}

extension Data {
    /// A little-endian number at an offset from the start of the file.
    func number(_ at: Int, _ size: Int) -> Int { (0..<size).reduce(0) { $0 | Int(self[at + $1]) << (8 * $1) } }

    /// XXH3-128 as format.md writes it.
    var xxh3: String {
        let hash = withUnsafeBytes { XXH3_128bits($0.baseAddress, $0.count) }
        return [hash.high64, hash.low64].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

/// The names of all fields of a JSON value, at every depth.
func fieldNames(_ json: Any) -> Set<String> {
    if let object = json as? [String: Any] {
        return object.values.reduce(Set(object.keys)) { $0.union(fieldNames($1)) }
    }
    return (json as? [Any])?.reduce([]) { $0.union(fieldNames($1)) } ?? []
}
