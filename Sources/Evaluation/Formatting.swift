import Glibc

/// A number with that many digits after the point.
package func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "-" : value < 0 ? "-inf" : "inf" }
    let scale = pow(10, Double(digits))
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let whole = Int(scaled)
    let sign = value < 0 && whole > 0 ? "-" : ""
    guard digits > 0 else { return sign + "\(whole)" }
    let fraction = "\(whole % Int(scale))"
    return sign + "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// A number with a few significant digits, in powers of ten where it is small.
package func significant(_ value: Double, _ digits: Int = 3) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
    let exponent = Int(log10(value.magnitude).rounded(.down))
    if (-4...5).contains(exponent) { return fixed(value, max(digits - 1 - exponent, 0)) }
    return fixed(value / pow(10, Double(exponent)), digits - 1) + "e\(exponent)"
}

/// A whole number with separators of thousands.
package func grouped(_ value: Int) -> String {
    var digits = String(value.magnitude)
    var groups: [String] = []
    while digits.count > 3 {
        groups.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
    }
    return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
}

/// A size in the unit that suits it: 1 MB is 1,000,000 bytes.
package func size(_ bytes: Int) -> String {
    switch bytes {
    case ..<10_000: "\(grouped(bytes)) B"
    case ..<1_000_000: "\(fixed(Double(bytes) / 1e3, 1)) KB"
    case ..<1_000_000_000: "\(fixed(Double(bytes) / 1e6, 2)) MB"
    default: "\(fixed(Double(bytes) / 1e9, 2)) GB"
    }
}

/// How many times smaller a packed file is than its original: tiny models, and those that are kept, become larger.
package func comparedSizes(_ original: Int, _ packed: Int) -> (factor: String, word: String) {
    let (original, packed) = (Double(max(original, 1)), Double(max(packed, 1)))
    return packed > original ? (fixed(packed / original, 2), "larger") : (fixed(original / packed, 2), "smaller")
}

/// `[128, 64, 3, 3]` as `128x64x3x3`.
package func dimensions(_ shape: [Int]) -> String {
    shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "x")
}

/// One thing or several.
package func count(_ number: Int, _ noun: String) -> String { "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")" }

/// Text for one line of a terminal: control characters of hostile names made visible.
package func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{FFFD}"
                default: scalar
                }
            }))
}
