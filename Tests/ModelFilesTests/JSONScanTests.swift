import ModelFiles
import Testing

/// What is checked of a JSON text before it is decoded.
struct JSONScanTests {
    private func fault(_ json: String, mostItems: Int = .max) -> String? {
        var json = json
        do throws(JSONFault) {
            let checked = json.withUTF8 { bytes in
                Result { () throws(JSONFault) in try checkJSON(UnsafeRawBufferPointer(bytes), mostItems: mostItems) }
            }
            try checked.get()
            return nil
        } catch {
            return "expected \(error.expected), found \(error.found)"
        }
    }

    @Test(arguments: [
        "{}", "[]", #"{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]}"#, #"{"a": "a", "b": "b"}"#,
        #"{"a,": 1, "a:": 2, "a{": 3, "\"a": 4, "a\\": 5, "a\\\\": 6}"#, #"["{", "{", ":", ","]"#, #"{"": 1}"#,
        " {\n} ",
        #"{"\u00e9": 1, "e\u0301": 2}"#, #"{"\ud83d\ude00": 1, "\ud83d\ude01": 2}"#,
    ])
    func differentKeysAreTaken(json: String) { #expect(fault(json) == nil) }

    @Test(arguments: [
        #"{"a": 1, "a": 1}"#, #"{"a": 1, "\u0061": 2}"#, #"[{"b": {"a": 1, "c": [], "a": {}}}]"#, #"{"": 1, "": 1}"#,
        #"{"\"": 1, "\u0022": 1}"#, #"{"\/": 1, "/": 1}"#,
        #"{"\n\t\b\f\r\\": 1, "\u000A\u0009\u0008\u000c\u000d\u005c": 1}"#,
        #"{"é": 1, "\u00e9": 1}"#, #"{"😀": 1, "\ud83d\uDE00": 1}"#,
        "{" + (0..<100).map { "\"\($0)\": 0," }.joined() + "\"37\": 0}",
    ])
    func aKeyThatOccursTwiceIsNamed(json: String) {
        let fault = fault(json)
        #expect(fault?.hasPrefix("expected distinct keys, found \"") == true && fault?.hasSuffix("\" twice") == true)
    }

    @Test func otherEncodingsAreRefused() throws {
        #expect(fault("\u{feff}{}") == "expected UTF-8 without a byte order mark, found one")
        for bytes: [UInt8] in [[0xff, 0xfe, 0x7b, 0, 0x7d, 0], [0x7b, 0, 0x7d, 0], [0x7b, 0x22, 0xc3, 0x22, 0x7d]] {
            #expect(throws: JSONFault.self) { try bytes.withUnsafeBytes { try checkJSON($0) } }
        }
    }

    @Test func nestingAndNumbersOfValuesAreBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(fault(nested(64)) == nil)
        #expect(fault(nested(65)) == "expected nesting of at most 64, found deeper nesting")
        #expect(fault(#"[1, {"a": 2}]"#, mostItems: 6) == nil)
        #expect(fault(#"[1, {"a": 2}]"#, mostItems: 4) == "expected at most 4 keys and values, found more")
    }

    @Test(arguments: [
        "{", "[", "\"", "{\"a", "{\"a\\", "{\"\\u", "{\"\\u12", "{\"\\ud83d", "{\"\\ud83d\\u", "}", "]", "}}", "[}",
        "{]",
    ])
    func whatIsNoJSONIsLeftToTheDecoder(json: String) { #expect(fault(json) == nil) }
}
