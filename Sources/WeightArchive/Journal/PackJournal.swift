import FoundationEssentials
import Glibc

/// The stream groups that are packed already, in a spool: for each a record, and after it the group's streams.
///
/// A record is the size of its text, the size of the streams, a hash of both sizes and the text, and the text as JSON. It
/// has the streams' hashes, so that a file that ends anywhere, or lost pages when the power failed, is good up to there.
struct PackJournal {
    let spool: Spool

    /// A group in the spool.
    struct Entry: Sendable {
        var record: GroupRecord
        /// Its streams, which nobody has looked at yet.
        var streams: [Spool.Place]
    }

    /// Bytes of the sizes and the hash.
    private static let headerSize = 48
    /// Bytes of a record's text that are read: more than the ranges of the largest layers take.
    private static let longestText = 1 << 28

    /// Keeps a group.
    ///
    /// - Returns: where its streams are.
    /// - Throws: `ArchiveError.cannotWrite`.
    func append(_ record: GroupRecord, _ streams: [[UInt8]]) throws -> [Spool.Place] {
        let text = Array(try JSONEncoder().encode(record))
        let sizes = littleEndian(text.count) + littleEndian(streams.reduce(0) { $0 + $1.count })
        _ = try spool.append(sizes + Array(Self.hash(sizes, text).utf8) + text)
        let places = try streams.map { stream throws(ArchiveError) in try spool.append(stream) }
        try spool.checkpoint()
        return places
    }

    /// Reads the records up to the first that is not whole, and cuts off what follows.
    ///
    /// - Throws: `ArchiveError.cannotWrite` when the file cannot be cut.
    func entries() throws(ArchiveError) -> [Entry] {
        var entries: [Entry] = []
        var end = Spool.signature.count
        while let entry = entry(at: end) {
            entries.append(entry)
            end = (entry.streams.last.map { $0.offset + $0.length }) ?? end
        }
        try spool.truncate(to: end)
        return entries
    }

    private func entry(at offset: Int) -> Entry? {
        let left = spool.size - offset - Self.headerSize
        guard left >= 0, let header = bytes(at: offset, Self.headerSize) else { return nil }
        let sizes = Array(header.prefix(16))
        let (textSize, streamsSize) = (number(sizes[..<8]), number(sizes[8...]))
        guard textSize <= min(left, Self.longestText), streamsSize <= left - Int(textSize),
            let text = bytes(at: offset + Self.headerSize, Int(textSize)),
            header.suffix(32).elementsEqual(Self.hash(sizes, text).utf8),
            let record = try? JSONDecoder().decode(GroupRecord.self, from: Data(text)), !record.streams.isEmpty
        else { return nil }
        var position = offset + Self.headerSize + text.count
        let end = position + Int(streamsSize)
        var places: [Spool.Place] = []
        for stream in record.streams {
            guard (0...end - position).contains(stream.length) else { return nil }
            places.append(Spool.Place(offset: position, length: stream.length))
            position += stream.length
        }
        return position == end ? Entry(record: record, streams: places) : nil
    }

    /// `nil` where the file cannot be read: as good as its end.
    private func bytes(at offset: Int, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(spool.descriptor, &bytes, count, offset) == count ? bytes : nil
    }

    private static func hash(_ sizes: [UInt8], _ text: [UInt8]) -> String {
        let hasher = Hasher128()
        sizes.withUnsafeBytes { hasher.update($0) }
        text.withUnsafeBytes { hasher.update($0) }
        return hasher.digest
    }
}

private func littleEndian(_ value: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
