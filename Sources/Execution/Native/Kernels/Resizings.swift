import Glibc
import ModelGraph

/// Other sizes for pictures, one dimension after the other.
extension Kernels {
    static let resizings: [String: Kernel] = ["Resize": resize]

    private static func resize(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let given = try call.tensor(0)
        let floats = try call.floats(0).elements
        let rule = try ResizeRule(call, given.shape)
        var tensor = given.physical()
        tensor.elements = .floats(floats)
        var outside: [[Bool]] = tensor.shape.map { Array(repeating: false, count: $0) }
        for part in rule.parts {
            let axis = given.physicalAxis(part.axis)
            let taps = try rule.taps(part)
            tensor = try resized(tensor, axis, taps)
            outside[axis] = taps.map(\.isEmpty)
        }
        if outside.contains(where: { $0.contains(true) }) {
            let strides = rowMajorStrides(tensor.shape)
            let shape = tensor.shape
            tensor.updateFloats { floats in
                for place in floats.indices
                where shape.indices.contains(where: { outside[$0][place / strides[$0] % shape[$0]] }) {
                    floats[place] = rule.extrapolation
                }
            }
        }
        return [tensor.logical(given.order)]
    }

    /// Each output of a dimension as a sum of inputs.
    private static func resized(
        _ tensor: Tensor, _ axis: Int, _ taps: [[ResizeRule.Tap]]
    ) throws(KernelFailure) -> Tensor {
        let size = tensor.shape[axis]
        var shape = tensor.shape
        shape[axis] = taps.count
        let inner = shape[(axis + 1)...].reduce(1, *)
        let blocks = shape[..<axis].reduce(1, *)
        var result = Tensor([Float](repeating: 0, count: try checkedCount(shape)), shape)
        tensor.allFloats.withUnsafeBufferPointer { source in
            result.updateFloats { target in
                for block in 0..<blocks {
                    for (index, list) in taps.enumerated() {
                        let goal = (block * taps.count + index) * inner
                        for tap in list {
                            let from = (block * size + tap.place) * inner
                            for place in 0..<inner { target[goal &+ place] += tap.weight * source[from &+ place] }
                        }
                    }
                }
            }
        }
        return result
    }
}

/// What a resizing layer asks for.
///
/// Source: "Resize" of "Operators.md" of onnx/onnx, and its reference implementation.
struct ResizeRule {
    /// An input and its factor.
    struct Tap {
        let place: Int
        let weight: Float
    }

    /// A dimension that changes.
    struct Part {
        let axis: Int
        let size: Int
        let output: Int
        let scale: Double
        /// The region of interest, in parts of the size.
        let start: Double
        let end: Double
    }

    let parts: [Part]
    let extrapolation: Float
    private let mode: String
    private let coordinates: String
    private let rounding: String
    private let excludesOutside: Bool
    private let isSmooth: Bool
    private let a: Double

    init(_ call: KernelCall, _ shape: [Int]) throws(KernelFailure) {
        let isFirst = call.version < 11
        mode = call.string("mode", orElse: "nearest")
        coordinates = call.string("coordinate_transformation_mode", orElse: isFirst ? "asymmetric" : "half_pixel")
        rounding = call.string("nearest_mode", orElse: isFirst ? "floor" : "round_prefer_floor")
        excludesOutside = call.flag("exclude_outside")
        isSmooth = call.flag("antialias")
        a = Double(call.number("cubic_coeff_a", orElse: -0.75))
        extrapolation = call.number("extrapolation_value", orElse: 0)
        var list = Array(shape.indices)
        if case .integers(let given)? = call.layer.attributes["axes"] { list = try axes(given, rank: shape.count) }
        var roi: [Double] = []
        if !isFirst, coordinates == "tf_crop_and_resize", call.has(1) {
            roi = try call.floats(1).elements.map(Double.init)
        }
        var scales: [Double] = []
        let place = isFirst ? 1 : 2
        if call.has(place) { scales = try call.floats(place).elements.map(Double.init) }
        var outputs: [Int] = []
        if scales.isEmpty {
            outputs = try call.integers(3)
            guard outputs.count == list.count else {
                throw KernelFailure(expected: "\(list.count) sizes", found: "\(outputs.count)")
            }
            scales = zip(outputs, list).map { Double($0) / Double(max(shape[$1], 1)) }
            let policy = call.string("keep_aspect_ratio_policy", orElse: "stretch")
            if policy != "stretch", let scale = policy == "not_larger" ? scales.min() : scales.max() {
                scales = scales.map { _ in scale }
                outputs = list.map { Int((scale * Double(shape[$0]) + 0.5).rounded(.down)) }
            }
        } else {
            outputs = zip(scales, list).map { Int(min(max(($0 * Double(shape[$1])).rounded(.down), 0), 0x1p31)) }
        }
        guard scales.count == list.count, scales.allSatisfy({ $0 > 0 && $0.isFinite }), outputs.allSatisfy({ $0 >= 0 }),
            roi.isEmpty || roi.count == 2 * list.count
        else { throw KernelFailure(expected: "\(list.count) scales above 0", found: "\(scales.prefix(16))") }
        var parts: [Part] = []
        for (number, axis) in list.enumerated()
        where scales[number] != 1 || outputs[number] != shape[axis] || !roi.isEmpty {
            guard shape[axis] > 0 else { throw KernelFailure(expected: "elements to resize", found: text(shape)) }
            _ = try checkedCount([outputs[number]])
            parts.append(
                Part(
                    axis: axis, size: shape[axis], output: outputs[number], scale: scales[number],
                    start: roi.isEmpty ? 0 : roi[number], end: roi.isEmpty ? 1 : roi[number + list.count]))
        }
        self.parts = parts
        var all = shape
        for part in parts { all[part.axis] = part.output }
        _ = try checkedCount(all)
    }

    /// What each output of a dimension is made of; nothing where it lies outside of the input.
    func taps(_ part: Part) throws(KernelFailure) -> [[Tap]] {
        var result: [[Tap]] = []
        for index in 0..<part.output {
            let place = try position(Double(index), part)
            guard abs(place) < 0x1p40 else {
                throw KernelFailure(expected: "a place near the input", found: "\(place)")
            }
            if coordinates == "tf_crop_and_resize", place < 0 || place > Double(part.size - 1) {
                result.append([])
                continue
            }
            result.append(try mode == "nearest" ? [nearest(place, part)] : weighted(place, part))
        }
        return result
    }

    /// Where in the input an output lies.
    private func position(_ x: Double, _ part: Part) throws(KernelFailure) -> Double {
        let size = Double(part.size)
        let output = part.scale * size
        switch coordinates {
        case "align_corners": return output == 1 ? 0 : x * (size - 1) / (output - 1)
        case "asymmetric": return x / part.scale
        case "tf_crop_and_resize":
            let room = (part.end - part.start) * (size - 1)
            return part.start * (size - 1) + (output == 1 ? room / 2 : x * room / (output - 1))
        case "pytorch_half_pixel": return output == 1 ? -0.5 : (x + 0.5) / part.scale - 0.5
        case "half_pixel": return (x + 0.5) / part.scale - 0.5
        case "half_pixel_symmetric":
            return size / 2 * (1 - Double(part.output) / output) + (x + 0.5) / part.scale - 0.5
        default: throw KernelFailure(expected: "coordinates of the standard", found: coordinates)
        }
    }

    private func nearest(_ x: Double, _ part: Part) throws(KernelFailure) -> Tap {
        let place: Double
        switch rounding {
        case "round_prefer_floor": place = (x - 0.5).rounded(.up)
        case "round_prefer_ceil": place = (x + 0.5).rounded(.down)
        case "floor": place = x.rounded(.down)
        case "ceil": place = x.rounded(.up)
        default: throw KernelFailure(expected: "a rounding of the standard", found: rounding)
        }
        return Tap(place: min(max(Int(place), 0), part.size - 1), weight: 1)
    }

    private func weighted(_ x: Double, _ part: Part) throws(KernelFailure) -> [Tap] {
        guard mode == "linear" || mode == "cubic" else {
            throw KernelFailure(expected: "a mode of the standard", found: mode)
        }
        let scale = isSmooth ? min(part.scale, 1) : 1
        let base = x.rounded(.up) - 1
        let first = Int((-(mode == "linear" ? 1.0 : 2.0) / scale).rounded(.down)) + 1
        _ = try checkedCount([2 - 2 * first])
        var weights = (first..<2 - first).map { weight(scale * (Double($0) + base - x)) }
        let places = (first..<2 - first).map { Int(base) + $0 }
        if excludesOutside {
            for index in weights.indices where !(0..<part.size).contains(places[index]) { weights[index] = 0 }
        }
        if excludesOutside || isSmooth {
            let sum = weights.reduce(0, +)
            if sum != 0 { for index in weights.indices { weights[index] /= sum } }
        }
        return zip(places, weights).filter { $0.1 != 0 }.map {
            Tap(place: min(max($0, 0), part.size - 1), weight: Float($1))
        }
    }

    /// What an input at a distance counts.
    private func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        if mode == "linear" { return max(1 - x, 0) }
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }
}
