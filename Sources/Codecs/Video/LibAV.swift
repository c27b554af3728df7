import CCodecShims

/// What libav says of an error number.
func libavMessage(_ error: Int32) -> String {
    var message = wc_message()
    wc_av_describe(error, &message)
    return message.string
}

/// Runs `body` with libav's log kept off stderr, and returns its first line at `level` or more serious.
///
/// The log is the only sign of some failures: unknown encoder options, and FFV1's checksums.
func withLibavLog<Value>(_ level: Int32, _ body: () throws(CodecError) -> Value) throws(CodecError) -> (Value, String?)
{
    wc_av_log_begin(level)
    var message = wc_message()
    let value: Value
    do {
        value = try body()
    } catch {
        wc_av_log_end(&message)
        throw error.adding(log: message.string)
    }
    wc_av_log_end(&message)
    return (value, message.string.isEmpty ? nil : message.string)
}

extension CodecError {
    /// The error with libav's own words, which say more than its error numbers.
    fileprivate func adding(log: String) -> CodecError {
        guard !log.isEmpty else { return self }
        return switch self {
        case .encodingFailed(let codec, let reason): .encodingFailed(codec: codec, reason: "\(reason) (\(log))")
        case .damaged(let codec, let reason): .damaged(codec: codec, reason: "\(reason) (\(log))")
        default: self
        }
    }
}

/// A libav dictionary of options.
final class LibavOptions {
    var pointer: OpaquePointer?

    init(_ options: [(name: String, value: String)]) {
        for (name, value) in options { _ = libav.av_dict_set(&pointer, name, value, 0) }
    }

    deinit { libav.av_dict_free(&pointer) }

    /// The options that a library took none of.
    var unused: [String] {
        var names: [String] = []
        var entry: UnsafeMutablePointer<AVDictionaryEntry>?
        while let next = libav.av_dict_get(pointer, "", entry, AV_DICT_IGNORE_SUFFIX) {
            names.append(String(cString: next.pointee.key))
            entry = next
        }
        return names
    }
}

/// A frame and a packet that are freed with their owner.
final class LibavBuffers {
    let frame: UnsafeMutablePointer<AVFrame>
    let packet: UnsafeMutablePointer<AVPacket>

    init?() {
        guard let frame = libav.av_frame_alloc() else { return nil }
        guard let packet = libav.av_packet_alloc() else {
            var frame: UnsafeMutablePointer<AVFrame>? = frame
            libav.av_frame_free(&frame)
            return nil
        }
        self.frame = frame
        self.packet = packet
    }

    deinit {
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        libav.av_frame_free(&frame)
        libav.av_packet_free(&packet)
    }
}
