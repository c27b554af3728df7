/// Words of several tensors as one run of bytes, in which bytes of one significance follow each other, as `WordBytes` has them for
/// one tensor: what is alike in all tensors is in one place.
///
/// First comes a byte for each tensor, the commonest first byte of its words, which all of these are counted from: tensors differ in
/// scale more than the words of each do.
public struct WordRun: Sendable {
    private var commonest: [UInt8] = []
    private var planes = [[UInt8]](repeating: [], count: 8)

    /// A run of no tensors.
    public init() {}

    /// Appends a tensor, of any bit patterns, little-endian.
    public mutating func add(_ bytes: UnsafeRawBufferPointer, _ format: FloatFormat) {
        let count = bytes.count * 8 / format.bits
        let split = WordBytes.split(bytes, format)
        var counts = [Int](repeating: 0, count: 256)
        for byte in split.prefix(count) { counts[Int(byte)] += 1 }
        let origin = UInt8(counts.indices.max { (counts[$0], $1) < (counts[$1], $0) } ?? 0)
        commonest.append(origin)
        planes[0] += split.prefix(count).lazy.map { $0 &- origin }
        for place in 1..<max(format.bits / 8, 1) { planes[place] += split[place * count..<(place + 1) * count] }
    }

    /// The bytes.
    public var bytes: [UInt8] { commonest + planes.joined() }

    /// Type and number of words of a tensor.
    public typealias Tensor = (format: FloatFormat, count: Int)

    /// Gives the tensors of a run back.
    ///
    /// - Parameters:
    ///   - bytes: the run.
    ///   - tensors: the tensors, whose sizes fit in memory.
    ///   - body: receives each tensor's number and bytes, in order; valid during the call.
    /// - Throws: `MapperError.parameters` unless that is what the run holds, and what `body` throws.
    public static func restore(
        _ bytes: [UInt8], _ tensors: [Tensor], _ body: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var places = [tensors.count]
        for place in 0..<8 {
            places.append(places[place] + tensors.reduce(0) { $0 + ($1.format.bits / 8 > place ? $1.count : 0) })
        }
        guard bytes.count == places[8] else {
            throw MapperError.parameters(expected: "\(places[8]) bytes of words", found: "\(bytes.count)")
        }
        for (number, (format, count)) in tensors.enumerated() {
            var planes: [UInt8] = []
            for place in 0..<format.bits / 8 {
                planes += bytes[places[place]..<places[place] + count]
                places[place] += count
            }
            for i in 0..<count { planes[i] &+= bytes[number] }
            var words = [UInt8](repeating: 0, count: planes.count)
            try planes.withUnsafeBufferPointer { planes in
                try words.withUnsafeMutableBytes { try WordBytes.join(planes, format, into: $0) }
            }
            try words.withUnsafeBytes { try body(number, $0) }
        }
    }
}
