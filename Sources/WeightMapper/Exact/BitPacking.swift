// Numbers of 1, 2 and 4 bits to bytes and back, the first in the lowest bits of a byte. Eight numbers, which lie in the bytes of a
// 64-bit word, move together: neighbors are joined to pairs, pairs to fours, fours to the eight.

/// Bytes that `count` numbers of `width` bits take; `width` is 1, 2, 4 or 8.
func packedSize(_ count: Int, width: Int) -> Int {
    let perByte = 8 / width
    return count / perByte + (count % perByte == 0 ? 0 : 1)
}

/// Packs numbers of 1, 2 or 4 bits, one to a byte of `numbers`; what remains of the last byte is 0.
///
/// - Parameter packed: room for `packedSize(numbers.count, width:)` bytes.
func pack(_ numbers: UnsafeBufferPointer<UInt8>, width: Int, into packed: UnsafeMutablePointer<UInt8>) {
    switch width {
    case 1: packEights(numbers, as: UInt8.self, into: packed)
    case 2: packEights(numbers, as: UInt16.self, into: packed)
    default: packEights(numbers, as: UInt32.self, into: packed)
    }
}

/// Unpacks numbers of 1, 2 or 4 bits from the first of `packed` on; `numbers` has room up to the next multiple of eight.
func unpack(
    _ packed: UnsafeBufferPointer<UInt8>, width: Int, count: Int, into numbers: UnsafeMutablePointer<UInt8>
) {
    switch width {
    case 1: unpackEights(packed, as: UInt8.self, count: count, into: numbers)
    case 2: unpackEights(packed, as: UInt16.self, count: count, into: numbers)
    default: unpackEights(packed, as: UInt32.self, count: count, into: numbers)
    }
}

/// The lowest `bits` bits of every `period` bits of a 64-bit word.
@inline(__always)
private func mask(_ bits: Int, every period: Int) -> UInt64 {
    var mask: UInt64 = 0
    for start in stride(from: 0, to: 64, by: period) { mask |= (1 << UInt64(bits) &- 1) << UInt64(start) }
    return mask
}

@inline(__always)
private func packEights<Eight: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ numbers: UnsafeBufferPointer<UInt8>, as: Eight.Type, into packed: UnsafeMutablePointer<UInt8>
) {
    let width = Eight.bitWidth / 8
    let masks = (mask(2 * width, every: 16), mask(4 * width, every: 32), mask(8 * width, every: 64))
    let shifts = (UInt64(8 - width), UInt64(16 - 2 * width), UInt64(32 - 4 * width))
    @inline(__always) func joined(_ word: UInt64) -> Eight {
        let pairs = (word | word &>> shifts.0) & masks.0
        let fours = (pairs | pairs &>> shifts.1) & masks.1
        return Eight(truncatingIfNeeded: (fours | fours &>> shifts.2) & masks.2)
    }
    let whole = numbers.count / 8
    let target = UnsafeMutableRawPointer(packed)
    if let source = UnsafeRawPointer(numbers.baseAddress) {
        for eight in 0..<whole {
            let word = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8 &* eight, as: UInt64.self))
            target.storeBytes(of: joined(word).littleEndian, toByteOffset: width &* eight, as: Eight.self)
        }
    }
    var rest: UInt64 = 0
    for i in 8 * whole..<numbers.count { rest |= UInt64(numbers[i]) << UInt64(8 * (i - 8 * whole)) }
    let tail = joined(rest)
    for byte in width * whole..<packedSize(numbers.count, width: width) {
        packed[byte] = UInt8(truncatingIfNeeded: tail >> Eight(8 * (byte - width * whole)))
    }
}

@inline(__always)
private func unpackEights<Eight: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ packed: UnsafeBufferPointer<UInt8>, as: Eight.Type, count: Int, into numbers: UnsafeMutablePointer<UInt8>
) {
    let width = Eight.bitWidth / 8
    let masks = (mask(4 * width, every: 32), mask(2 * width, every: 16), mask(width, every: 8))
    let shifts = (UInt64(32 - 4 * width), UInt64(16 - 2 * width), UInt64(8 - width))
    @inline(__always) func parted(_ eight: UInt64) -> UInt64 {
        let fours = (eight | eight &<< shifts.0) & masks.0
        let pairs = (fours | fours &<< shifts.1) & masks.1
        return (pairs | pairs &<< shifts.2) & masks.2
    }
    let whole = min(count / 8, packed.count / width)
    let target = UnsafeMutableRawPointer(numbers)
    if let source = UnsafeRawPointer(packed.baseAddress) {
        for eight in 0..<whole {
            let joined = Eight(littleEndian: source.loadUnaligned(fromByteOffset: width &* eight, as: Eight.self))
            target.storeBytes(
                of: parted(UInt64(truncatingIfNeeded: joined)).littleEndian, toByteOffset: 8 &* eight, as: UInt64.self)
        }
    }
    guard 8 * whole < count else { return }
    var rest: UInt64 = 0
    for byte in width * whole..<min(width * (whole + 1), packed.count) {
        rest |= UInt64(packed[byte]) << UInt64(8 * (byte - width * whole))
    }
    target.storeBytes(of: parted(rest).littleEndian, toByteOffset: 8 * whole, as: UInt64.self)
}
