import Codecs
import WeightMapper

/// Encodes the layers of a group, which `quantize` hands over one at a time, as streams.
///
/// - Parameter quantize: fills the bins of layer `i`; called in order, once each.
/// - Returns: the streams, and a hash of each frame as it was encoded.
/// - Throws: what `quantize` throws first; `ArchiveError.layer` when the codec fails.
func encode<Bin: BinScalar>(
    _ group: StreamGroup, as: Bin.Type, quantize: (Int, inout MutableSpan<Bin>) throws -> Void
) throws -> (streams: [[UInt8]], frameHashes: [String]) {
    var streams: [[UInt8]] = []
    var hashes: [String] = []
    var bins: [Bin] = []
    var layer = -1
    var frame = 0
    var failure: (any Error)?
    for count in group.framesOfStreams {
        do throws(CodecError) {
            let stream = try group.codec.encode(group.format, count: count) { _, buffer in
                while failure == nil, layer < 0 || frame == group.layers[layer].placement.frameCount {
                    layer += 1
                    frame = 0
                    bins = []
                    bins = [Bin](repeating: 0, count: group.layers[layer].geometry.count)
                    do {
                        var span = bins.mutableSpan
                        try quantize(layer, &span)
                    } catch { failure = error }
                }
                guard failure == nil else {
                    buffer.initializeMemory(as: UInt8.self, repeating: 0)
                    return
                }
                buffer.withMemoryRebound(to: Bin.self) { samples in
                    var samples = samples.mutableSpan
                    let current = group.layers[layer]
                    current.placement.tile(bins.span, frame: frame, bits: current.bits, into: &samples)
                }
                hashes.append(Hasher128.hash(UnsafeRawBufferPointer(buffer)))
                frame += 1
            }
            streams.append(stream)
        } catch {
            throw failure ?? ArchiveError.layer(tensor: group.layers[max(layer, 0)].name, reason: error.description)
        }
        if let failure { throw failure }
    }
    return (streams, hashes)
}

/// Decodes the streams of a group and hands its layers over one at a time.
///
/// - Parameters:
///   - stream: the bytes of stream `i`.
///   - takeFrame: sees each decoded frame, numbered through the group.
///   - takeLayer: receives the bins of layer `i` when its last frame has come.
/// - Throws: what `takeFrame` and `takeLayer` throw first; `ArchiveError.layer` when the codec fails.
func decode<Bin: BinScalar>(
    _ group: StreamGroup, as: Bin.Type, stream: (Int) throws -> [UInt8],
    takeFrame: (Int, UnsafeRawBufferPointer) throws -> Void = { _, _ in }, takeLayer: (Int, Span<Bin>) throws -> Void
) throws {
    var bins: [Bin] = []
    var layer = 0
    var frame = 0
    var frameOfGroup = 0
    var failure: (any Error)?
    for (index, count) in group.framesOfStreams.enumerated() {
        let bytes = try stream(index)
        do throws(CodecError) {
            try withBytes(of: bytes) { bytes throws(CodecError) in
                try group.codec.decode(bytes, group.format, count: count) { _, buffer in
                    guard failure == nil else { return }
                    do {
                        try takeFrame(frameOfGroup, buffer)
                        let current = group.layers[layer]
                        if frame == 0 { bins = [Bin](repeating: 0, count: current.geometry.count) }
                        buffer.withMemoryRebound(to: Bin.self) { samples in
                            var target = bins.mutableSpan
                            current.placement.untile(samples.span, frame: frame, into: &target)
                        }
                        frame += 1
                        frameOfGroup += 1
                        if frame == current.placement.frameCount {
                            try takeLayer(layer, bins.span)
                            bins = []
                            layer += 1
                            frame = 0
                        }
                    } catch { failure = error }
                }
            }
        } catch {
            let name = group.layers[min(layer, group.layers.count - 1)].name
            throw failure ?? ArchiveError.layer(tensor: name, reason: error.description)
        }
        if let failure { throw failure }
    }
}

/// `withUnsafeBytes` for typed errors.
func withBytes<Result, Failure: Error>(
    of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    try array.span.bytes.withUnsafeBytes(body)
}

/// Runs jobs with at most `limit` at a time and about `budget` bytes of memory among them, in order of start.
///
/// - Parameters:
///   - memory: what each job needs; one that exceeds the budget runs alone.
///   - run: the job with that index; may block.
///   - done: receives each result as it comes, in no particular order, one at a time.
/// - Throws: the first error of a job, after the others have ended; `ArchiveError.cancelled`, after what runs is done.
func runJobs<Result: Sendable>(
    memory: [Int], limit: Int, budget: Int, run: @escaping @Sendable (Int) throws -> Result,
    done: (Int, Result) throws -> Void
) async throws {
    guard limit > 1, memory.count > 1 else {
        // Handing work to another thread takes as long as decoding a small layer.
        for job in memory.indices {
            guard !Task.isCancelled else { throw ArchiveError.cancelled }
            try done(job, run(job))
        }
        guard !Task.isCancelled else { throw ArchiveError.cancelled }
        return
    }
    try await withThrowingTaskGroup(of: (Int, Result).self) { tasks in
        var running = 0
        var used = 0
        func finish(_ finished: (Int, Result)) throws {
            running -= 1
            used -= memory[finished.0]
            try done(finished.0, finished.1)
        }
        for (job, need) in memory.enumerated() {
            while running > 0, running >= limit || used + need > budget {
                if let finished = try await tasks.next() { try finish(finished) }
            }
            // What runs is not lost.
            guard !Task.isCancelled else { break }
            running += 1
            used += need
            tasks.addTask { (job, try run(job)) }
        }
        while let finished = try await tasks.next() { try finish(finished) }
    }
    guard !Task.isCancelled else { throw ArchiveError.cancelled }
}
