/// Text as a POSIX shell takes it for one word, whatever it holds: in single quotes, those in it replaced.
func shellQuoted(_ text: String) -> String {
    // By bytes: with an accent on it a quote is another Character, and ends a quotation all the same.
    let quote = UInt8(ascii: "'")
    let escaped = text.utf8.flatMap { $0 == quote ? Array(#"'\''"#.utf8) : [$0] }
    return "'" + String(decoding: escaped, as: UTF8.self) + "'"
}

/// A word of a command that a person is shown: quoted where it must be, control characters made visible.
func shellWord(_ text: String) -> String {
    let plain = printable(text)
    let isSafe =
        !plain.isEmpty
        && plain.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "._-/+@:".utf8.contains(byte)
        }
    return isSafe ? plain : shellQuoted(plain)
}
