import ModelFiles
import WeightMapper

/// Parts of layers that stand for all of them, to be packed by a packer of their own: the whole of a small one, of a large one three
/// slices of its first axis in memory.
struct LayerSlices {
    /// All parts, layer by layer.
    private(set) var tensors: [SelectedTensor] = []
    /// Where in these the parts of a tensor are.
    private var places: [Int: Range<Int>] = [:]
    private let originals: [SelectedTensor]

    /// Weights up to which a layer is taken whole, and up to which where slices would cut through channels, whose ranges would be
    /// narrower.
    private static let whole = (within: 1 << 20, across: 1 << 23)
    /// Weights of a slice.
    private static let slice = 1 << 18

    /// - Parameter tensors: those that the jobs number.
    init(_ jobs: [LayerJob], of tensors: [SelectedTensor]) {
        originals = tensors
        for job in jobs {
            let start = self.tensors.count
            self.tensors += Self.parts(of: tensors[job.tensor], job.geometry)
            places[job.tensor] = start..<self.tensors.count
        }
    }

    /// The parts of a layer.
    func parts(of job: LayerJob) -> ArraySlice<SelectedTensor> { tensors[places[job.tensor] ?? 0..<0] }

    /// Part `number` of a layer as a job of its own, whose tensor is one of `tensors`.
    func job(for number: Int, of job: LayerJob) -> LayerJob? {
        guard let place = places[job.tensor], number < place.count,
            let geometry = tensors[place.lowerBound + number].geometry
        else { return nil }
        var part = job.with(tensor: place.lowerBound + number, geometry)
        switch job.quantizer {
        case .exact(against: .given(var base)):
            let extent = tensors[place.lowerBound + number].record.extent
            base.extent.offset += extent.offset - originals[job.tensor].record.extent.offset
            base.extent.length = extent.length
            part.quantizer = .exact(against: .given(base))
        case .exact(against: .earlier(let tensor)):
            // Of the same shape, so in as many parts.
            part.quantizer = .exact(against: places[tensor].map { .earlier($0.lowerBound + number) })
        default: break
        }
        return part
    }

    private static func parts(of tensor: SelectedTensor, _ geometry: LayerGeometry) -> [SelectedTensor] {
        let record = tensor.record
        guard let first = geometry.axes.first, first.count >= 4,
            record.count > (first.role.isChannel ? whole.within : whole.across),
            geometry.axes.reduce(1, { $0 * $1.count }) == record.count
        else { return [tensor] }
        let rest = record.count / first.count
        let rows = max(slice / rest, 1)
        let bytes = rest * (record.dtype.bitWidth ?? 0) / 8
        return [first.count / 6, first.count / 2, first.count * 5 / 6].compactMap { middle in
            let start = max(min(middle - rows / 2, first.count - rows), 0)
            let axes = [LayerGeometry.Axis(first.role, rows)] + geometry.axes.dropFirst()
            guard let geometry = try? LayerGeometry(kind: geometry.kind, axes: axes, count: rows * rest) else {
                return nil
            }
            var part = tensor
            part.geometry = geometry
            part.record.shape = [rows, rest]
            part.record.memoryOrder = nil
            part.record.extent = Extent(
                file: record.extent.file, offset: record.extent.offset + start * bytes, length: rows * bytes)
            return part
        }
    }
}
