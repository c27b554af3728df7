/// The words of a tensor as planes of bytes, for codecs that compare each byte with the one at its place in another tensor.
///
/// Words are turned left by a bit, so that the first plane is the exponent, or the highest bits of it, and the last one ends with the
/// sign: what changes from one checkpoint to the next is in the last planes.
public enum WordBytes {
    /// Bytes of all planes: as many as the tensor has.
    public static func count(of words: Int, _ format: FloatFormat) -> Int { words * format.bits / 8 }

    /// The planes of a tensor, from that of the highest bytes on.
    ///
    /// - Parameter bytes: the tensor, little-endian.
    /// - Complexity: linear; each word is read once for each of its bytes.
    public static func split(_ bytes: UnsafeRawBufferPointer, _ format: FloatFormat) -> [UInt8] {
        switch format.bits {
        case 8: split(bytes, UInt8.self)
        case 16: split(bytes, UInt16.self)
        case 32: split(bytes, UInt32.self)
        default: split(bytes, UInt64.self)
        }
    }

    /// The inverse of `split`.
    ///
    /// - Throws: `MapperError.parameters` unless there is a byte for each of the tensor.
    public static func join(
        _ planes: UnsafeBufferPointer<UInt8>, _ format: FloatFormat, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        guard planes.count == bytes.count, bytes.count.isMultiple(of: format.bits / 8) else {
            throw .parameters(expected: "\(bytes.count) bytes of words", found: "\(planes.count)")
        }
        switch format.bits {
        case 8: join(planes, UInt8.self, into: bytes)
        case 16: join(planes, UInt16.self, into: bytes)
        case 32: join(planes, UInt32.self, into: bytes)
        default: join(planes, UInt64.self, into: bytes)
        }
    }

    private static func split<Word: WeightWord>(_ bytes: UnsafeRawBufferPointer, _: Word.Type) -> [UInt8] {
        let source = StoredWords<Word>(bytes: bytes)
        let size = MemoryLayout<Word>.size
        var words = [Word](repeating: 0, count: min(wordsAtATime, source.count))
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { planes, count in
            for start in stride(from: 0, to: source.count, by: wordsAtATime) {
                let length = min(wordsAtATime, source.count - start)
                words.withUnsafeMutableBufferPointer { words in
                    guard let base = words.baseAddress else { return }
                    source.load(start..<start + length, into: base)
                    for plane in 0..<size {
                        let shift = Word.bitWidth &- 8 &* (plane &+ 1)
                        let target = UnsafeMutableBufferPointer(
                            rebasing: planes[plane * source.count + start..<plane * source.count + start + length])
                        for i in 0..<length { target[i] = UInt8(truncatingIfNeeded: turnedLeft(base[i]) &>> shift) }
                    }
                }
            }
            count = bytes.count
        }
    }

    private static func join<Word: WeightWord>(
        _ planes: UnsafeBufferPointer<UInt8>, _: Word.Type, into bytes: UnsafeMutableRawBufferPointer
    ) {
        let size = MemoryLayout<Word>.size
        let count = bytes.count / size
        var words = [Word](repeating: 0, count: min(wordsAtATime, count))
        for start in stride(from: 0, to: count, by: wordsAtATime) {
            let length = min(wordsAtATime, count - start)
            words.withUnsafeMutableBufferPointer { words in
                words.update(repeating: 0)
                for plane in 0..<size {
                    let shift = Word.bitWidth &- 8 &* (plane &+ 1)
                    let source = UnsafeBufferPointer(
                        rebasing: planes[plane * count + start..<plane * count + start + length])
                    for i in 0..<length { words[i] |= Word(source[i]) &<< shift }
                }
                for i in 0..<length { words[i] = (words[i] &>> 1 | words[i] &<< (Word.bitWidth &- 1)).littleEndian }
                UnsafeMutableRawBufferPointer(rebasing: bytes[start * size..<(start + length) * size])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(words)[..<(length * size)]))
            }
        }
    }

    @inline(__always)
    private static func turnedLeft<Word: WeightWord>(_ word: Word) -> Word {
        word &<< 1 | word &>> (Word.bitWidth &- 1)
    }
}
