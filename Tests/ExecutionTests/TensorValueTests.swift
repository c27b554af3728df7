import ModelFiles
import ModelGraph
import TestSupport
import Testing

@testable import Execution

struct TensorValueTests {
    @Test func bytesMustBeThoseOfTheShape() {
        #expect(TensorValue(type: .f32, shape: [2, 3], bytes: [UInt8](repeating: 0, count: 24)) != nil)
        #expect(TensorValue(type: .f32, shape: [2, 3], bytes: [UInt8](repeating: 0, count: 23)) == nil)
        #expect(TensorValue(type: .f32, shape: [-1], bytes: []) == nil)
        #expect(TensorValue(type: .f32, shape: [1 << 62, 4], bytes: []) == nil)
        #expect(TensorValue(type: DType(rawValue: "U4"), shape: [2], bytes: [0]) == nil)
        #expect(TensorValue(type: .i64, shape: [], bytes: [UInt8](repeating: 0, count: 8))?.text == "I64 scalar")
    }

    @Test(
        arguments: [
            (DType.f16, [0x00, 0x3c, 0x00, 0xc0], [1, -2]), (.bf16, [0x80, 0x3f, 0x00, 0xc0], [1, -2]),
            (.i8, [1, 0xfe], [1, -2]), (.u8, [1, 0xfe], [1, 254]), (.i16, [1, 0, 0xfe, 0xff], [1, -2]),
            (.u16, [1, 0, 0xfe, 0xff], [1, 65534]), (.i32, [0xfe, 0xff, 0xff, 0xff], [-2]), (.bool, [0, 1], [0, 1]),
            (.u64, [1, 0, 0, 0, 0, 0, 0, 0x80], [0x1p63]), (.f64, [0, 0, 0, 0, 0, 0, 0xf8, 0xbf], [-1.5]),
        ] as [(DType, [UInt8], [Double])])
    func elementsAreReadAsNumbers(type: DType, bytes: [UInt8], numbers: [Double]) throws {
        let value = try #require(TensorValue(type: type, shape: [numbers.count], bytes: bytes))
        #expect(value.numbers == numbers)
    }

    @Test func portsAcceptWhatTheyLeaveOpen() {
        let port = NetworkPort(name: "x", type: .f32, shape: [.symbol("n"), .size(3), .unknown])
        #expect(port.accepts([7, 3, 0]) && !port.accepts([7, 4, 1]) && !port.accepts([7, 3]))
        #expect(NetworkPort(name: "x", type: .f32, shape: nil).accepts([1, 2, 3]))
        #expect(port.text == "F32 nx3x?")
    }
}

extension TensorValue {
    /// A tensor of float32; the shape must be that of the numbers.
    static func floats(_ shape: [Int], _ numbers: [Float]) -> TensorValue {
        made(.f32, shape, numbers.flatMap { littleEndian($0.bitPattern) })
    }

    static func integers(_ shape: [Int], _ numbers: [Int64]) -> TensorValue {
        made(.i64, shape, numbers.flatMap { littleEndian($0) })
    }

    private static func made(_ type: DType, _ shape: [Int], _ bytes: [UInt8]) -> TensorValue {
        guard let value = TensorValue(type: type, shape: shape, bytes: bytes) else {
            preconditionFailure("\(shape) is not the shape of \(bytes.count) bytes")
        }
        return value
    }
}
