import Foundation
import ModelFiles
import TestSupport
import Testing

/// The committed model files and what is in them.
enum Fixtures {
    /// A tensor as the framework that wrote the file sees it.
    struct Expected: Decodable {
        let name: String
        let dtype: String
        let shape: [Int]
        let packable: Bool
        /// The values row-major as hex; nil where they do not fill the tensor's extent.
        let values: String?
        let kind: String?
    }

    /// Those that this machine has the libraries for.
    static let names = all.keys.sorted().filter { hasHDF5 || !($0.hasSuffix(".h5") || $0.hasSuffix(".keras")) }

    /// Those whose tensors are runs of the file's own bytes.
    static let uncompressed = names.filter {
        !$0.contains("compressed") && !$0.contains("chunked") && !$0.contains("mixed")
    }

    /// Of each family of formats a script has written the files and what is in them.
    static let all: [String: [Expected]] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path("."))) ?? []
        var all: [String: [Expected]] = [:]
        for file in files where file.hasPrefix("expected") && file.hasSuffix(".json") {
            guard let data = FileManager.default.contents(atPath: path(file)),
                let expected = try? JSONDecoder().decode([String: [Expected]].self, from: data)
            else { return [:] }
            all.merge(expected) { _, new in new }
        }
        return all
    }()

    static func path(_ name: String) -> String { Bundle.module.bundlePath + "/Fixtures/\(name)" }

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try #require(FileManager.default.contents(atPath: path(name))))
    }
}

extension ModelFile {
    /// A tensor's values in row-major order, read through its memory order.
    func values(of tensor: TensorRecord) -> [UInt8] {
        let bytes = withBytes(of: tensor.extent) { Array($0) }
        guard let order = tensor.memoryOrder, let size = tensor.dtype.bitWidth.map({ $0 / 8 }), tensor.count > 1 else {
            return bytes
        }
        var strides = [Int](repeating: 1, count: order.count)
        var stride = 1
        for dimension in order.reversed() {
            strides[dimension] = stride
            stride *= tensor.shape[dimension]
        }
        var values: [UInt8] = []
        for index in 0..<tensor.count {
            var rest = index
            var place = 0
            for dimension in tensor.shape.indices.reversed() {
                place += rest % tensor.shape[dimension] * strides[dimension]
                rest /= tensor.shape[dimension]
            }
            values += bytes[(place * size)..<((place + 1) * size)]
        }
        return values
    }
}

/// The error that opening a file gives, as a person sees it.
func openingError(_ path: String, layout: String? = nil) -> String? {
    do throws(ModelFileError) {
        _ = try ModelFiles.open(path, layout: layout)
        return nil
    } catch {
        return error.description
    }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// CRC-32 as ZIP defines it, bit by bit: independent of any library under test.
func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xffff_ffff
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
}

func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
