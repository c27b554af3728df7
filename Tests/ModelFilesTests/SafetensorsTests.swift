import Foundation
import ModelFiles
import Testing

/// The rules of the safetensors format, one after another.
struct SafetensorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func file(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
        littleEndian(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + [UInt8](repeating: 0, count: data)
    }

    private static func tensor(_ name: String, _ dtype: String, _ shape: String, _ start: Int, _ end: Int) -> String {
        "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]}"
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   "#, 8), (tensorHeader("F4", "[2,2]", 2), 2),
        (tensorHeader("F32", "[]", 4), 4), (tensorHeader("F32", "[0,4611686018427387904]", 0), 0),
        (tensorHeader("X17", "[4]", 12), 12), (tensorHeader("C64", "[1]", 8), 8),
        (#"{"__metadata__":{"a":"b:{"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
    ])
    func legalHeadersAreRead(header: String, data: Int) throws {
        let model = try ModelFiles.open(try folder.write(file(header, data: data)))
        #expect(model.format == .safetensors)
        #expect(model.tensors.map(\.extent.length) == [data])
    }

    private static func tensorHeader(_ dtype: String, _ shape: String, _ length: Int) -> String {
        "{\(tensor("a", dtype, shape, 0, length))}"
    }

    @Test(arguments: [
        (tensorHeader("F32", "[3]", 8), 8, "tensor \"a\": expected 12 bytes for F32 [3], found 8 bytes"),
        (tensorHeader("F32", "[-2]", 8), 8, "[-2]"),
        (tensorHeader("F32", "[4611686018427387904,4]", 8), 8, "tensor \"a\""),
        (tensorHeader("F32", "[2305843009213693952]", 8), 8, "tensor \"a\""),
        (tensorHeader("F4", "[3]", 2), 2, "tensor \"a\""),
        (tensorHeader("X17", "[5]", 12), 12, "tensor \"a\""),
        (tensorHeader("F32", "[2]", 8), 4, "expected 8 bytes, as the header says, found 4: the file is truncated"),
        (tensorHeader("F32", "[2]", 8), 12, "expected 8 bytes"),
        (tensorHeader("F32", "[2]", -8), 8, "rising data offsets"),
        ("{\(tensor("a", "U8", "[2]", 0, 2)),\(tensor("b", "U8", "[2]", 3, 5))}", 5, "without hole or overlap"),
        ("{\(tensor("a", "U8", "[3]", 0, 3)),\(tensor("b", "U8", "[3]", 2, 5))}", 5, "without hole or overlap"),
        ("{\(tensor("a", "U8", "[1]", 0, 1)),\(tensor("a", "U8", "[1]", 0, 1))}", 1, "twice"),
        (#"{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#, 1, "twice"),
        (#"{"a":{"dtype":"U8","shape":[1]}}"#, 1, "data_offsets"),
        (#"{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}"#, 1, "JSON"),
        (#"{"a":[]}"#, 0, "JSON"), (#"{"a":"#, 0, "JSON"), ("{}", 0, "at least one tensor"),
        ("{" + String(repeating: #""a":{"#, count: 20000), 0, "nesting of at most 64"),
    ])
    func brokenHeadersAreRefused(header: String, data: Int, expected: String) throws {
        let error = try #require(openingError(try folder.write(file(header, data: data))))
        #expect(error.contains(expected))
    }

    @Test(arguments: [30, 99, 100_000_001, UInt64(Int.max), .max])
    func headerLengthsBeyondTheFileAreRefused(length: UInt64) throws {
        let bytes = file(Self.tensorHeader("F32", "[2]", 8), data: 8, length: length)
        let error = try #require(openingError(try folder.write(bytes)))
        #expect(error.contains(length == 30 ? "JSON" : "header length"))
    }

    private func writeShards(index: String) throws -> String {
        try folder.write(file("{\(Self.tensor("a", "U8", "[1]", 0, 1))}", data: 1), "one.safetensors")
        try folder.write(file("{\(Self.tensor("b", "U8", "[2]", 0, 2))}", data: 2), "two.safetensors")
        return try folder.write(index, "index.json")
    }

    @Test(arguments: [
        (#"{"weight_map":{"a":"one.safetensors","b":"one.safetensors"}}"#, "tensor \"b\""),
        (#"{"weight_map":{"c":"one.safetensors"}}"#, "tensor \"c\""),
        (#"{"weight_map":{"b":"two.safetensors","a":"two.safetensors"}}"#, "tensor \"a\""),
        (#"{"weight_map":{"a":"none.safetensors"}}"#, "no such file"),
        (#"{"weight_map":{"a":"../one.safetensors"}}"#, "plain file names"),
        (#"{"weight_map":{"a":"/etc/passwd"}}"#, "plain file names"),
        (#"{"weight_map":{"a":".."}}"#, "plain file names"),
        (#"{"weight_map":{"a":""}}"#, "plain file names"),
        (#"{"weight_map":{"a":"one.safetensors\u0000x"}}"#, "plain file names"),
        (#"{"weight_map":{}}"#, "at least one tensor"), (#"{"weight_map":[]}"#, "JSON"),
        (#"{"weight_map":{"a":7}}"#, "JSON"),
    ])
    func indexesThatDisagreeWithTheirShardsAreRefused(index: String, expected: String) throws {
        let error = try #require(openingError(try writeShards(index: index)))
        #expect(error.contains(expected))
    }

    @Test func aTensorOfAShardThatTheIndexLacksIsRefused() throws {
        try folder.write(
            file("{\(Self.tensor("a", "U8", "[1]", 0, 1)),\(Self.tensor("x", "U8", "[1]", 1, 2))}", data: 2),
            "s.safetensors")
        let index = try folder.write(#"{"weight_map":{"a":"s.safetensors"}}"#, "index.json")
        #expect(openingError(index)?.contains("tensor \"x\"") == true)
    }

    @Test func linksOutOfTheFolderAreRefusedUnlessTheIndexIsOneToo() throws {
        let elsewhere = try TemporaryFolder()
        let index = #"{"weight_map":{"a":"one.safetensors"}}"#
        let shard = try elsewhere.write(file("{\(Self.tensor("a", "U8", "[1]", 0, 1))}", data: 1), "blob1")
        let blob = try elsewhere.write(index, "blob2")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/one.safetensors", withDestinationPath: shard)
        #expect(openingError(try folder.write(index, "index.json"))?.contains("a link to another folder") == true)
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/linked.json", withDestinationPath: blob)
        #expect(try ModelFiles.open("\(folder.path)/linked.json").tensors.map(\.name) == ["a"])
    }
}
