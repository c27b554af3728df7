/// The storages of a checkpoint whose tensors do not fill them one after another: slices, views with gaps, parts of a whole.
struct TorchStorages {
    private struct Use {
        let extent: Extent
        var records: [TensorRecord] = []
    }

    /// Smaller remains of a storage are not worth naming it.
    private static let smallestRest = 1024

    private var uses: [String: Use] = [:]
    private var keys: [String] = []

    /// Counts a tensor of the storage under a key, whose bytes are in `extent`.
    mutating func add(_ record: TensorRecord, _ key: String, _ extent: Extent) {
        if uses[key] == nil { keys.append(key) }
        uses[key, default: Use(extent: extent)].records.append(record)
    }

    /// A record for each of them, named after the first tensor, of the type that all of its tensors have; others are left out.
    var records: [TensorRecord] {
        keys.compactMap { key in
            guard let use = uses[key], let first = use.records.first, let bits = first.dtype.bitWidth,
                use.records.allSatisfy({ $0.dtype == first.dtype }), !Self.isFilled(use, elementSize: bits / 8)
            else { return nil }
            let count = use.extent.length / (bits / 8)
            return TensorRecord(
                name: "\(first.name) (storage)", dtype: first.dtype, shape: [count],
                extent: Extent(file: use.extent.file, offset: use.extent.offset, length: count * (bits / 8)),
                memoryOrder: [0])
        }
    }

    /// Whether the tensors lie one after another, but for small remains; tied ones count once.
    private static func isFilled(_ use: Use, elementSize: Int) -> Bool {
        let records = use.records.filter { $0.extent.length > 0 }.sorted {
            ($0.extent.offset, $0.extent.length) < ($1.extent.offset, $1.extent.length)
        }
        var rest = use.extent.length
        var last: TensorRecord?
        for record in records {
            guard record.memoryOrder != nil else { return false }
            if let last, record.extent.offset < last.extent.range.upperBound {
                guard record.extent == last.extent, record.shape == last.shape, record.memoryOrder == last.memoryOrder
                else { return false }
                continue
            }
            rest -= record.extent.length
            last = record
        }
        return rest < smallestRest * elementSize
    }
}
