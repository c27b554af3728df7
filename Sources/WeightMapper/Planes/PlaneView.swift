/// The samples of a plane where they lie, as a codec left them; valid as long as that memory is.
public struct PlaneView {
    /// Bits of a sample, 1...16.
    public let bits: Int
    /// The samples: one byte each up to 8 bits, two in host order above.
    let samples: UnsafeRawBufferPointer

    /// A view of samples.
    ///
    /// - Parameter samples: one byte each up to 8 bits, two above, aligned to these.
    public init(bits: Int, _ samples: UnsafeRawBufferPointer) {
        self.bits = bits
        self.samples = samples
    }

    /// Number of samples.
    var count: Int { bits > 8 ? samples.count / 2 : samples.count }

    /// The samples by their type.
    func typed<Sample: BinScalar>(as: Sample.Type) -> UnsafeBufferPointer<Sample> {
        samples.bindMemory(to: Sample.self)
    }
}

extension Plane {
    /// Calls `body` with views of planes.
    public static func withViews<Result>(
        of planes: some Collection<Plane>, _ body: ([PlaneView]) throws -> Result
    ) rethrows -> Result {
        func next(_ rest: ArraySlice<Plane>, _ views: [PlaneView]) throws -> Result {
            guard let plane = rest.first else { return try body(views) }
            return try plane.samples.withBytes {
                try next(rest.dropFirst(), views + [PlaneView(bits: plane.bits, $0)])
            }
        }
        return try next(ArraySlice(planes), [])
    }
}

extension Plane.Samples {
    /// Calls `body` with the samples as they lie in memory.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch self {
        case .narrow(let samples): try samples.withUnsafeBytes(body)
        case .wide(let samples): try samples.withUnsafeBytes(body)
        }
    }
}
