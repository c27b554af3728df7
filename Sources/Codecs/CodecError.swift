/// Why a codec could not be made, or could not code or restore a stream.
public enum CodecError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No codec has this name.
    case unknownCodec(String, known: [String])
    /// The codec has no such parameter.
    case unknownParameter(codec: String, parameter: String, known: [String])
    /// A parameter's value is malformed, out of range or given twice.
    case badValue(codec: String, parameter: String, expected: String, found: String)
    /// The machine's libraries lack this codec.
    case unavailable(codec: String, reason: String)
    /// The codec cannot hold frames of this format or number.
    case unsupported(codec: String, expected: String, found: String)
    /// A frame format that cannot exist.
    case badFormat(String)
    /// A bin number does not fit the format's bit depth.
    case badSample(codec: String, frame: Int, bitDepth: Int)
    /// The encoder refused or failed.
    case encodingFailed(codec: String, reason: String)
    /// The stream is intact so far as it was read, but holds something other than the frames asked for.
    case mismatch(codec: String, expected: String, found: String)
    /// The stream is damaged, truncated, or not of this codec.
    case damaged(codec: String, reason: String)

    public var description: String {
        switch self {
        case .unknownCodec(let name, let known):
            "unknown codec '\(name)': expected one of \(known.joined(separator: ", "))"
        case .unknownParameter(let codec, let parameter, let known):
            known.isEmpty
                ? "codec \(codec): unknown parameter '\(parameter)': expected none"
                : "codec \(codec): unknown parameter '\(parameter)': expected one of \(known.joined(separator: ", "))"
        case .badValue(let codec, let parameter, let expected, let found):
            "codec \(codec): parameter '\(parameter)': expected \(expected), found '\(found)'"
        case .unavailable(let codec, let reason):
            "codec \(codec) is not available on this machine: \(reason)"
        case .unsupported(let codec, let expected, let found):
            "codec \(codec): expected \(expected), found \(found)"
        case .badFormat(let reason):
            reason
        case .badSample(let codec, let frame, let bitDepth):
            "codec \(codec): frame \(frame): expected bin numbers of \(bitDepth) bits, found a larger one"
        case .encodingFailed(let codec, let reason):
            "codec \(codec): encoding failed: \(reason)"
        case .mismatch(let codec, let expected, let found):
            "codec \(codec): the stream holds something else: expected \(expected), found \(found)"
        case .damaged(let codec, let reason):
            "codec \(codec): the stream is damaged: \(reason)"
        }
    }
}
