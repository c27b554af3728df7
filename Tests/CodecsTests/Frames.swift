import TestSupport
import Testing

@testable import Codecs

/// Frames of bins in memory, with the closures that codecs ask for.
struct Frames: Equatable, CustomTestStringConvertible {
    let format: FrameFormat
    var frames: [[Int]]

    var testDescription: String { "\(frames.count) x \(format.width)x\(format.height), \(format.bitDepth) bits" }

    /// Bell-shaped bins, as those of weights, that touch both ends of the range.
    static func weights(_ width: Int, _ height: Int, bits: Int, count: Int = 1, seed: UInt64 = 1) throws -> Frames {
        var generator = SeededGenerator(seed)
        let top = (1 << bits) - 1
        var frames = (0..<count).map { _ in
            (0..<width * height).map { _ in
                let sum = (0..<4).reduce(0.0) { (sum, _) in sum + Double.random(in: 0..<1, using: &generator) }
                return min(top, Int(sum / 4 * Double(top + 1)))
            }
        }
        frames[0][0] = 0
        frames[count - 1][width * height - 1] = top
        return Frames(format: try FrameFormat(width: width, height: height, bitDepth: bits), frames: frames)
    }

    func encode(_ codec: any MediaCodec) throws(CodecError) -> [UInt8] {
        try codec.encode(format, count: frames.count) { (index, buffer) in
            for (position, value) in frames[index].enumerated() {
                if format.bytesPerSample == 1 {
                    buffer.storeBytes(of: UInt8(value), toByteOffset: position, as: UInt8.self)
                } else {
                    buffer.storeBytes(of: UInt16(value), toByteOffset: 2 * position, as: UInt16.self)
                }
            }
        }
    }

    /// What a stream holds when it is read as frames like these.
    func decode(_ stream: [UInt8], _ codec: any MediaCodec) throws(CodecError) -> Frames {
        try Self.decode(stream, codec, format, count: frames.count)
    }

    static func decode(_ stream: [UInt8], _ codec: any MediaCodec, _ format: FrameFormat, count: Int)
        throws(CodecError) -> Frames
    {
        var frames: [[Int]] = []
        var order: [Int] = []
        let result = stream.withUnsafeBytes { (bytes) -> Result<Void, CodecError> in
            do throws(CodecError) {
                try codec.decode(bytes, format, count: count) { (index, frame) in
                    order.append(index)
                    frames.append(
                        format.bytesPerSample == 1
                            ? frame.map { Int($0) } : frame.bindMemory(to: UInt16.self).map { Int($0) })
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        #expect(order == Array(0..<count))
        return Frames(format: format, frames: frames)
    }

    /// Signal-to-noise ratio of `other` against these, as a ratio of powers.
    func signalToNoise(_ other: Frames) -> Double {
        let pairs = zip(frames.joined(), other.frames.joined())
        let values = frames.joined().map(Double.init)
        let mean = values.reduce(0, +) / Double(values.count)
        let signal = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let noise = pairs.reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        return noise == 0 ? .infinity : signal / noise
    }
}
