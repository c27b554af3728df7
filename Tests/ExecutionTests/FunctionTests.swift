import CNativeKernels
import Foundation
import Testing

/// Functions of many numbers at once.
struct FunctionTests {
    private typealias Function = (UnsafeMutablePointer<Float>, Int) -> Void

    private static func computed(_ name: String, _ numbers: [Float]) -> [Float] {
        var result = numbers
        result.withUnsafeMutableBufferPointer { numbers in
            guard let base = numbers.baseAddress else { return }
            switch name {
            case "exp": wc_exp(base, numbers.count)
            case "tanh": wc_tanh(base, numbers.count)
            case "sigmoid": wc_sigmoid(base, numbers.count)
            case "erf": wc_erf(base, numbers.count)
            case "gelu": wc_gelu(base, numbers.count)
            default: wc_swish(base, numbers.count, 1)
            }
        }
        return result
    }

    private static func exact(_ name: String, _ x: Double) -> Double {
        switch name {
        case "exp": exp(x)
        case "tanh": tanh(x)
        case "sigmoid": 1 / (1 + exp(-x))
        case "erf": erf(x)
        case "gelu": x / 2 * (1 + erf(x / 2.0.squareRoot()))
        default: x / (1 + exp(-x))
        }
    }

    @Test(arguments: [("exp", 88, 2), ("tanh", 12, 6), ("sigmoid", 30, 4), ("erf", 6, 2)])
    func areExactToAFewDigits(function: (name: String, range: Float, units: Double)) {
        let numbers = (-40_001...40_001).map { Float($0) / 40_001 * function.range }
        for (x, y) in zip(numbers, Self.computed(function.name, numbers)) {
            let expected = Self.exact(function.name, Double(x))
            guard abs(Double(y) - expected) > function.units * Double(Float(expected).ulp) else { continue }
            Issue.record("\(function.name)(\(x)) is \(y), expected \(expected)")
            return
        }
    }

    @Test(arguments: ["gelu", "swish"])
    func productsAreExactToSevenDigits(name: String) {
        let numbers = (-10_000...10_000).map { Float($0) / 1000 }
        let found = Self.computed(name, numbers)
        #expect(
            zip(numbers, found).allSatisfy {
                abs(Double($1) - Self.exact(name, Double($0))) < 1e-6 * max(1, abs(Double($0)))
            })
    }

    @Test func endsAreThoseOfTheFunctions() {
        let ends: [Float] = [.infinity, -.infinity, 1000, -1000]
        #expect(Self.computed("exp", ends) == [.infinity, 0, .infinity, 0])
        #expect(Self.computed("tanh", ends) == [1, -1, 1, -1])
        #expect(Self.computed("sigmoid", ends) == [1, 0, 1, 0])
        #expect(Self.computed("erf", ends) == [1, -1, 1, -1])
        for name in ["exp", "tanh", "sigmoid", "erf", "gelu", "swish"] {
            #expect(Self.computed(name, [1, .nan, 2])[1].isNaN, "\(name)")
        }
        #expect(Self.computed("exp", [-100, -88]).allSatisfy { $0 > 0 })
    }
}
