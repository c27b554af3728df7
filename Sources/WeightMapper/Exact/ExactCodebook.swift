/// Gives the bytes of a tensor back, bit for bit, from a run of bytes that a codec codes well.
///
/// The run holds the tensor's bits apart: what is predictable in one place, what is random in another. It has one sample of 8
/// bits for each byte and no other structure, so any medium can hold it: pictures, frames, tracks.
public struct ExactCodebook: Hashable, Sendable {
    /// The type of the tensor's elements.
    public let format: FloatFormat
    /// Number of elements.
    public let count: Int
    /// Bytes of the run, at least an eighth of the elements.
    public let runCount: Int

    private let palette: LocalPalette?
    private let planes: BitPlanes

    private init(format: FloatFormat, count: Int, palette: LocalPalette?, planes: BitPlanes) {
        self.format = format
        self.count = count
        self.palette = palette
        self.planes = planes
        runCount = planes.runCount + (palette == nil ? 0 : count)
    }

    /// Splits a tensor into a codebook and a run.
    ///
    /// - Parameters:
    ///   - bytes: the tensor's bytes, of any bit patterns.
    ///   - format: the type of its elements.
    ///   - columnCount: elements in a row; weights of a row, and of a column, are expected to be of like magnitude.
    /// - Returns: the codebook and its run.
    /// - Complexity: linear; at least 1 GB/s of a large tensor.
    public static func split(
        _ bytes: UnsafeRawBufferPointer, format: FloatFormat, columnCount: Int
    ) -> (ExactCodebook, run: [UInt8]) {
        switch format.bits {
        case 8: split(StoredWords<UInt8>(bytes: bytes), format, columnCount)
        case 16: split(StoredWords<UInt16>(bytes: bytes), format, columnCount)
        case 32: split(StoredWords<UInt32>(bytes: bytes), format, columnCount)
        default: split(StoredWords<UInt64>(bytes: bytes), format, columnCount)
        }
    }

    private static func split<Source: WordSource>(
        _ source: Source, _ format: FloatFormat, _ columnCount: Int
    ) -> (ExactCodebook, run: [UInt8]) {
        let draft = BitPlanes.draft(
            floats: source, mantissaBits: format.mantissaBits, columnCount: columnCount)
        guard let groupSize = LocalPalette.best(for: source, bitsPerWord: draft.bitsPerWord) else {
            let (planes, run) = BitPlanes.split(source, draft.planes)
            return (ExactCodebook(format: format, count: source.count, palette: nil, planes: planes), run)
        }
        let groups = 0..<(source.count + groupSize - 1) / groupSize
        let (numbers, values) = LocalPalette.index(source, groupSize: groupSize, groups: groups)
        let valueDraft = BitPlanes.draft(floats: values, mantissaBits: format.mantissaBits, columnCount: 1)
        let (planes, run) = BitPlanes.split(values, valueDraft.planes)
        let palette = LocalPalette(groupSize: groupSize, valueCount: values.count)
        return (ExactCodebook(format: format, count: source.count, palette: palette, planes: planes), numbers + run)
    }

    /// Bits that ideal codes would take for a run, one for each of its parts.
    public func entropyBits(of run: [UInt8]) -> Double {
        guard palette != nil else { return planes.entropyBits(of: run[...]) }
        let numbers = Plane(bits: 8, shape: .strip(count), samples: .narrow(Array(run.prefix(count))))
        return numbers.entropyBits + planes.entropyBits(of: run.dropFirst(count))
    }

    /// Gives the tensor back, in memory order, a piece at a time.
    ///
    /// - Parameters:
    ///   - run: the run, of `runCount` bytes.
    ///   - body: receives consecutive bytes; valid during the call.
    /// - Throws: `MapperError.parameters` when the run is not one of this codebook.
    /// - Complexity: linear; at least 1 GB/s.
    public func restore(_ run: UnsafeBufferPointer<UInt8>, _ body: (UnsafeRawBufferPointer) -> Void)
        throws(MapperError)
    {
        guard run.count == runCount else {
            throw .parameters(expected: "\(runCount) bytes of bit planes", found: "\(run.count)")
        }
        switch format.bits {
        case 8: try restore(run, as: UInt8.self, body)
        case 16: try restore(run, as: UInt16.self, body)
        case 32: try restore(run, as: UInt32.self, body)
        default: try restore(run, as: UInt64.self, body)
        }
    }

    private func restore<Word: WeightWord>(
        _ run: UnsafeBufferPointer<UInt8>, as: Word.Type, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(MapperError) {
        guard let palette else {
            try planes.restore(run, as: Word.self) { body(UnsafeRawBufferPointer($0)) }
            return
        }
        var values: [Word] = []
        values.reserveCapacity(palette.valueCount)
        try planes.restore(UnsafeBufferPointer(rebasing: run[count...]), as: Word.self) { values += $0 }
        try values.withUnsafeBufferPointer { values throws(MapperError) in
            try palette.restore(UnsafeBufferPointer(rebasing: run[..<count]), values) {
                body(UnsafeRawBufferPointer($0))
            }
        }
    }
}

/// Words in memory.
extension Array: WordSource where Element: WeightWord {
    typealias Word = Element
    func load(_ range: Range<Int>, into target: UnsafeMutablePointer<Element>) {
        withUnsafeBufferPointer { source in
            for (i, place) in range.enumerated() { target[i] = source[place] }
        }
    }
}

// MARK: - Storage

extension ExactCodebook {
    /// The bytes that a packed file stores.
    public var serialized: [UInt8] {
        var bytes: [UInt8] = [palette == nil ? 0 : 1]
        if let palette {
            bytes.append(number: palette.groupSize)
            bytes.append(number: palette.valueCount)
        }
        return bytes + planes.serialized
    }

    /// A codebook from a packed file.
    ///
    /// - Parameters:
    ///   - bytes: what `serialized` gave.
    ///   - format: the type of the tensor's elements.
    ///   - count: number of elements.
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook.
    public init(_ bytes: [UInt8], format: FloatFormat, count: Int) throws(MapperError) {
        guard count > 0 else { throw .parameters(expected: "a tensor that is not empty", found: "an empty one") }
        var reader = ParameterReader(bytes)
        var palette: LocalPalette?
        if try reader.number("the kind of a bit-exact tensor", in: 0...1) == 1 {
            palette = LocalPalette(
                groupSize: try reader.number("the size of a group", in: 2...256),
                valueCount: try reader.number("values", in: 1...count))
        }
        let planes = try BitPlanes(parsing: &reader, count: palette?.valueCount ?? count, wordBits: format.bits)
        try reader.end()
        self.init(format: format, count: count, palette: palette, planes: planes)
    }
}
