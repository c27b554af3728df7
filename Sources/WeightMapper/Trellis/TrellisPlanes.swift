/// How the indices k of a trellis-quantized layer lie in planes.
///
/// A sample is k + 2^(n-1). Either one plane holds all of them, or two hold those chosen in states of union 0 and of union 1, each in
/// order; the latter saves bits at low rates, where the unions' frequencies differ. Of an index beyond the n bits the sample is the
/// first or the last, and how far it is beyond follows after all indices, at the end of the last plane or in a plane of its own: as
/// samples that are added up to the first which is not 2^n - 1.
enum TrellisPlanes {
    /// Samples that say how far an index is beyond the n bits.
    static func digits(of excess: Int, bits: Int) -> [UInt16] {
        let top = (1 << bits) - 1
        return [UInt16](repeating: UInt16(top), count: excess / top) + [UInt16(excess % top)]
    }
}
