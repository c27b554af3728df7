import CEngineShims

extension wc_engine_message {
    /// The text, which ends with a zero.
    var string: String {
        withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
