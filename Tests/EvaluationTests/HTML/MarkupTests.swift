import Foundation
import Testing

@testable import Evaluation

/// What keeps strings of a packed file from becoming more than text on the page.
struct MarkupTests {
    @Test(arguments: [
        ("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), ("abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        (String(repeating: "a", count: 1000), "Qe3s5C1j6Nm/UVqbppMuHCDLyfWl0TRkWttdsblzfqM="),
    ])
    func hashesAreSHA256(text: String, hash: String) {
        #expect(contentHash(text) == hash)
    }

    @Test(arguments: [
        ("a<b>&\"c\"'d'", "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;"), ("\u{202e}x\u{0}\n", "\u{fffd}x\u{fffd}\u{fffd}"),
        ("重み 💾", "重み 💾"),
        // A combining accent makes one Character of "<" and itself.
        ("<\u{301}script>", "&lt;\u{301}script&gt;"),
    ])
    func markupIsEscaped(text: String, expected: String) {
        #expect(escaped(text) == expected)
    }

    @Test func jsonCannotEndItsElement() throws {
        let names = ["</script><script>", "<!--", "<\u{301}/script", "plain"]
        let json = try scriptJSON(names)
        #expect(!json.utf8.contains(UInt8(ascii: "<")))
        #expect(try JSONDecoder().decode([String].self, from: Data(json.utf8)) == names)
    }

    @Test func whatIsFilledInIsNotFilledAgain() {
        let page = filled("<{{a}}|{{b}}>{{a}}") { $0 == "a" ? "{{b}}" : "B{{a}}" }
        #expect(page == "<{{b}}|B{{a}}>{{b}}")
    }

    @Test(arguments: [
        ("model.wcz", "model.wcz"), ("it's", #"'it'\''s'"#), ("$(rm)", "'$(rm)'"), ("", "''"), ("a b", "'a b'"),
        ("~x", "'~x'"), ("'\u{301};x", "''\\''\u{301};x'"),
    ])
    func commandsQuoteWords(text: String, word: String) {
        #expect(shellWord(text) == word)
    }

    @Test func levelsAreDigits() {
        #expect(digits64([0, 9, 10, 35, 36, 61, 62, 63, 99]) == "09AZaz-__")
    }
}
