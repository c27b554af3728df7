/// What gives the bins of a fixed-point quantizer back as weights: the step of each group.
///
/// Bin b of a group is the weight (b - 2^(bits-1)) * step.
public struct FixedPointCodebook: Codebook, Hashable {
    /// How steps are stored, one for each group in the order of `PrecisionGroups`.
    public enum Encoding: String, Sendable, CaseIterable {
        /// Exponents s as signed bytes.
        case int8
        /// Exponents s as little-endian 16-bit integers, for those beyond a byte.
        case int16
        /// Scales f as little-endian bfloat16, the upper half of a binary32.
        case bfloat16
        /// Scales f as little-endian binary32.
        case float32
        /// Scales f as little-endian binary64, for those that binary32 does not hold.
        case float64

        /// Bytes of one step.
        var size: Int {
            switch self {
            case .int8: 1
            case .int16, .bfloat16: 2
            case .float32: 4
            case .float64: 8
            }
        }

        /// What it is an encoding of.
        var kind: PrecisionKind { self == .int8 || self == .int16 ? .exponent : .scale }

        /// Whether a step, of this kind, is one that is stored exactly.
        func holds(_ step: Double) -> Bool {
            switch self {
            case .int8: -128...127 ~= step.exponent
            case .int16, .float64: true
            case .bfloat16: Double(Float(bitPattern: Float(step).bitPattern & 0xffff_0000)) == step
            case .float32: Double(Float(step)) == step
            }
        }

        /// The bits that stand for a step which is held.
        func code(_ step: Double) -> UInt64 {
            switch self {
            case .int8: UInt64(UInt8(truncatingIfNeeded: Int(step.exponent)))
            case .int16: UInt64(UInt16(truncatingIfNeeded: Int(step.exponent)))
            case .bfloat16: UInt64(Float(step).bitPattern >> 16)
            case .float32: UInt64(Float(step).bitPattern)
            case .float64: step.bitPattern
            }
        }

        /// The step that some bits stand for; `nil` for none that is possible.
        func step(_ code: UInt64) -> Double? {
            let precision: Precision =
                switch self {
                case .int8: .exponent(Int(Int8(truncatingIfNeeded: code)))
                case .int16: .exponent(Int(Int16(truncatingIfNeeded: code)))
                case .bfloat16: .scale(Double(Float(bitPattern: UInt32(truncatingIfNeeded: code) << 16)))
                case .float32: .scale(Double(Float(bitPattern: UInt32(truncatingIfNeeded: code))))
                case .float64: .scale(Double(bitPattern: code))
                }
            return precision.isValid ? precision.step : nil
        }
    }

    /// Bits of a bin number, 2...16.
    public let bits: Int
    /// Exponents or scales.
    public let kind: PrecisionKind
    /// What has a step of its own.
    public let groups: PrecisionGroups
    /// 2^s or f of each group.
    public let steps: [Double]
    private let storage: Encoding

    init(bits: Int, kind: PrecisionKind, groups: PrecisionGroups, steps: [Double]) {
        self.bits = bits
        self.kind = kind
        self.groups = groups
        self.steps = steps
        // The last of each kind holds every step.
        storage =
            Encoding.allCases.first { encoding in encoding.kind == kind && steps.allSatisfy(encoding.holds) }
            ?? .float64
    }

    public var encoding: String { storage.rawValue }

    public var serialized: [UInt8] {
        steps.flatMap { step in
            let code = storage.code(step)
            return (0..<storage.size).map { UInt8(truncatingIfNeeded: code >> UInt64(8 * $0)) }
        }
    }

    /// The precision of a group.
    public func precision(ofGroup group: Int) -> Precision { Precision(kind, step: steps[group]) }

    /// A codebook from a packed file.
    ///
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook, `MapperError.precision` for
    ///   bits outside 2...16.
    public init(
        bits: Int, kind: PrecisionKind, encoding: String, _ bytes: Span<UInt8>, scope: PrecisionScope,
        geometry: LayerGeometry
    ) throws(MapperError) {
        guard (2...16).contains(bits) else {
            throw .precision(expected: "2 to 16 bits for a signed number", found: "\(bits)")
        }
        guard let storage = Encoding(rawValue: encoding), storage.kind == kind else {
            let known = Encoding.allCases.filter { $0.kind == kind }.map(\.rawValue).joined(separator: ", ")
            throw .parameters(expected: "a precision as one of \(known)", found: encoding)
        }
        let groups = PrecisionGroups(geometry, scope)
        let (size, overflow) = groups.count.multipliedReportingOverflow(by: storage.size)
        guard !overflow, bytes.count == size else {
            throw .parameters(expected: "\(size) bytes for \(groups.count) groups", found: "\(bytes.count) bytes")
        }
        var steps: [Double] = []
        steps.reserveCapacity(groups.count)
        for start in stride(from: 0, to: size, by: storage.size) {
            let code = (0..<storage.size).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
            guard let step = storage.step(code) else {
                throw .parameters(
                    expected: kind == .exponent
                        ? "exponents from \(Precision.leastExponent) to \(Precision.greatestExponent)"
                        : "positive finite scales", found: "others")
            }
            steps.append(step)
        }
        self.bits = bits
        self.kind = kind
        self.groups = groups
        self.steps = steps
        self.storage = storage
    }

    public func reconstruct<Bin: BinScalar, Scalar: WeightScalar>(
        _ bins: Span<Bin>, at offset: Int, into weights: inout MutableSpan<Scalar>
    ) {
        precondition(bins.count == weights.count)
        bins.withUnsafeBufferPointer { bins in
            weights.withUnsafeMutableBufferPointer { weights in
                FixedPointCodebook.restore(bins, at: offset, groups, steps, bits: bits, into: weights)
            }
        }
    }
}
