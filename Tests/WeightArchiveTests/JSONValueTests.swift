import Foundation
import Testing

@testable import WeightArchive

/// Manifests as text.
struct JSONValueTests {
    private struct Sample: Codable, Equatable {
        var name = "a \"layer\"\n\u{1F600} ü \u{7f}"
        var counts = [0, -1, 42, Int.max, Int.min]
        var shares = [0.5, -1e-30, 3, 1.7976931348623157e308, 2.2250738585072014e-308, 12345678901234567890]
        var isSorted = true
        var missing: String?
        var nested: [String: [[Int]]] = ["b": [[], [1, 2]], "": [[3]]]
        var small: UInt8 = 255
    }

    private func read<T: Decodable>(_ text: some StringProtocol, as: T.Type) throws -> T {
        try T(from: JSONValue(Array(text.utf8)))
    }

    @Test(arguments: [[], [.prettyPrinted], [.sortedKeys, .withoutEscapingSlashes]] as [JSONEncoder.OutputFormatting])
    func whatFoundationWritesIsRead(formatting: JSONEncoder.OutputFormatting) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        let text = String(decoding: try encoder.encode(Sample()), as: UTF8.self)
        #expect(try read(text, as: Sample.self) == Sample())
    }

    @Test func escapesAndSpacesAreRead() throws {
        #expect(
            try read(#" [ "\u00e9\ud83d\ude00\/\\\"\b\f\n\r\t" ,"" ] "#, as: [String].self) == [
                "é😀/\\\"\u{8}\u{c}\n\r\t", "",
            ])
        #expect(try read("\t{\r\n\"a\" : null}", as: [String: Int?].self) == ["a": nil])
        #expect(try read("[1e2, 1E+2, 100.0]", as: [Double].self) == [100, 100, 100])
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "[01]",
        "[-]", "[1.]",
        "[.5]", "[1e]", "[+1]", "[1e999]", "tru", "[nul]", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "[1] 2", "'a'", "[\"a\" \"b\"]",
    ])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(throws: JSONFault.self) { try JSONValue(Array(text.utf8)) }
    }

    @Test func bytesThatAreNoTextAreRefused() {
        #expect(throws: JSONFault.self) { try JSONValue([0x22, 0xff, 0x22]) }
        #expect(throws: JSONFault.self) { try JSONValue([UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)) }
    }

    @Test(arguments: [
        #"{}"#, #"{"name": 1, "size": 2, "skeleton": ""}"#, #"{"name": "a", "size": 1.5, "skeleton": ""}"#,
        #"{"name": "a", "size": "1", "skeleton": ""}"#, #"{"name": "a", "size": null, "skeleton": ""}"#, "[]", "3",
    ])
    func fieldsOfOtherTypesAreRefused(text: String) throws {
        #expect(throws: JSONFault.self) { try read(text, as: Manifest.File.self) }
    }

    @Test func faultsSayWhereTheyAre() throws {
        struct Outer: Decodable {
            struct Inner: Decodable { let bits: Int }
            let layers: [Inner]
        }
        for (text, message) in [
            (#"{"layers": [{"bits": 4}, {"bits": "4"}]}"#, "layers.1.bits: expected Int, found another value"),
            (#"{"layers": [{"bits": 4}, {}]}"#, "layers.1: expected bits, found none"),
            ("{}", "expected layers, found none"),
            (#"{"layers": 3}"#, "layers: expected an array, found another value"),
        ] {
            let fault = #expect(throws: JSONFault.self) { try read(text, as: Outer.self) }
            #expect(fault?.description == message)
        }
    }
}
