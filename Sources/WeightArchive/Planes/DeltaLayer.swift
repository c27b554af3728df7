import Glibc
import ModelFiles
import WeightMapper

/// The tensor that another one is packed against.
enum BaseTensor: Hashable, Sendable {
    /// One of the model that `--delta` names.
    case given(TensorRecord)
    /// One of the packed model itself, restored earlier: its index in the selection and the manifest.
    case earlier(Int)
}

/// The bytes of a base tensor, wherever they are.
struct BaseBytes: Sendable {
    /// Calls a function with the bytes, which are valid during the call.
    let withBytes: @Sendable (_ body: (UnsafeRawBufferPointer) -> Void) -> Void

    /// A tensor of a model.
    init(_ model: ModelFile, _ tensor: TensorRecord) {
        withBytes = { body in model.withBytes(of: tensor.extent) { body($0) } }
    }

    /// Bytes in memory.
    init(_ bytes: [UInt8]) {
        withBytes = { body in bytes.withUnsafeBytes(body) }
    }

    /// A hash of the bytes.
    var hash: String {
        let hasher = Hasher128()
        withBytes { hasher.update($0) }
        return hasher.digest
    }
}

/// Gives the one plane of a layer back bit for bit, from that and the bytes of its base.
struct DeltaLayerCodebook: LayerCodebook {
    let codebook: DeltaCodebook
    /// Hash of the base's bytes.
    let baseHash: String
    /// Index of a base in the same packed file.
    let earlier: Int?
    /// `nil` where nothing is to be restored.
    let base: BaseBytes?

    var record: Manifest.LayerQuantizer { .init(name: "delta", base: baseHash, earlier: earlier) }

    var serialized: [UInt8] { codebook.serialized }

    func entropyBits(of planes: [Plane]) -> Double { planes[0].narrow.map(codebook.entropyBits) ?? 0 }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        guard planes.count == 1, case .narrow(let run) = planes[0].samples, let base else {
            throw .parameters(expected: "one plane of bytes, and a base", found: "\(planes.count) planes")
        }
        var failure: MapperError?
        base.withBytes { base in
            do throws(MapperError) {
                try run.withUnsafeBufferPointer { run throws(MapperError) in
                    var position = 0
                    try codebook.restore(run, base: base) { piece in
                        UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + piece.count])
                            .copyMemory(from: piece)
                        position += piece.count
                    }
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

// MARK: - Packing

extension ModelFile {
    /// The tensor of this model that another model's is packed against: of the same name, type and shape.
    func base(for tensor: TensorRecord) -> TensorRecord? {
        (tensors + storages).first {
            $0.name == tensor.name && $0.dtype == tensor.dtype && $0.shape == tensor.shape
                && $0.memoryOrder == tensor.memoryOrder && $0.extent.length == tensor.extent.length
        }
    }
}

/// What each tensor is packed against, by index: an earlier one with the same bytes, the tensor of the base model, or in a series of
/// models that of the one before.
func baseTensors(of model: ModelFile, _ tensors: [SelectedTensor], _ options: PackOptions) -> [Int: BaseTensor] {
    guard options.quantizer == .exact else { return [:] }
    var bases: [Int: BaseTensor] = [:]
    var latest: [TensorRecord: Int] = [:]
    var copies = CopyFinder(model)
    for (index, tensor) in tensors.enumerated() where tensor.geometry != nil {
        if let copied = copies.find(tensor.record, index) {
            bases[index] = .earlier(copied)
        } else if let base = options.base?.base(for: tensor.record) {
            bases[index] = .given(base)
        }
        guard let member = model.member(of: tensor.record) else { continue }
        // The same but for its model and place.
        var key = tensor.record
        key.name = member.tensorName
        key.extent = Extent(file: 0, offset: 0, length: key.extent.length)
        if bases[index] == nil, let earlier = latest[key] { bases[index] = .earlier(earlier) }
        latest[key] = index
    }
    return bases
}

/// Finds tensors that hold the same bytes as one before: tied weights that a file stores twice.
private struct CopyFinder {
    private let model: ModelFile
    /// Tensors of one type and shape that begin alike.
    private var seen: [Key: [(index: Int, extent: Extent)]] = [:]

    private struct Key: Hashable {
        let dtype: DType
        let shape: [Int]
        let start: [UInt8]
    }

    init(_ model: ModelFile) { self.model = model }

    /// The index of an earlier tensor with the bytes of this one.
    mutating func find(_ tensor: TensorRecord, _ index: Int) -> Int? {
        var start = tensor.extent
        start.length = min(start.length, 1 << 10)
        let key = Key(dtype: tensor.dtype, shape: tensor.shape, start: model.withBytes(of: start) { Array($0) })
        if let copy = seen[key]?.first(where: { areEqual($0.extent, tensor.extent) }) { return copy.index }
        seen[key, default: []].append((index, tensor.extent))
        return nil
    }

    private func areEqual(_ a: Extent, _ b: Extent) -> Bool {
        guard a.length == b.length else { return false }
        return model.withBytes(of: a) { x in
            model.withBytes(of: b) { y in
                guard let x = x.baseAddress, let other = y.baseAddress else { return true }
                return memcmp(x, other, y.count) == 0
            }
        }
    }
}

extension Packer {
    /// The bytes of a base.
    func bytes(of base: BaseTensor) -> BaseBytes? {
        switch base {
        case .given(let tensor): options.base.map { BaseBytes($0, tensor) }
        case .earlier(let index): BaseBytes(model, tensors[index].record)
        }
    }

    /// Splits a tensor bit for bit, against its base where that is smaller.
    func splitExactly(
        _ tensor: TensorRecord, _ job: LayerJob, against base: BaseTensor?
    ) throws(MapperError) -> (Plane, any LayerCodebook) {
        guard let format = FloatFormat(rawValue: tensor.dtype.rawValue) else {
            throw .parameters(expected: "a floating-point type", found: tensor.dtype.rawValue)
        }
        let (codebook, run) = model.withBytes(of: tensor.extent) {
            ExactCodebook.split($0, format: format, columnCount: job.geometry.rowLength)
        }
        func plane(_ run: [UInt8]) -> Plane { Plane(bits: 8, shape: .strip(run.count), samples: .narrow(run)) }
        if let base, let bytes = bytes(of: base) {
            var found: (DeltaCodebook, run: [UInt8])?
            bytes.withBytes { bytes in
                found = model.withBytes(of: tensor.extent) { DeltaCodebook.split($0, base: bytes, format: format) }
            }
            if let (delta, deltaRun) = found, delta.entropyBits(of: deltaRun) < codebook.entropyBits(of: run) {
                var earlier: Int?
                if case .earlier(let index) = base { earlier = index }
                return (
                    plane(deltaRun),
                    DeltaLayerCodebook(codebook: delta, baseHash: bytes.hash, earlier: earlier, base: bytes)
                )
            }
        }
        return (plane(run), ExactLayerCodebook(codebook: codebook))
    }
}

// MARK: - Unpacking

extension PackedModel {
    /// The bytes of the base of a layer.
    ///
    /// - Parameter earlier: gives the bytes of a tensor of this packed file.
    /// - Throws: `ArchiveError.layer` where there is no base, or another one.
    func base(
        of layer: PlanedLayer, _ record: Manifest.LayerQuantizer, earlier: (Int) throws -> BaseBytes
    ) throws -> BaseBytes {
        let tensor = valid.manifest.tensors[layer.tensor]
        let found: BaseBytes
        let place: String
        if let index = record.earlier {
            found = try earlier(index)
            place = "\(path): tensor \(valid.manifest.tensors[index].name)"
        } else {
            guard let base else {
                throw ArchiveError.layer(
                    tensor: layer.name,
                    reason: "\(path): expected the model that it was packed against, found none (--delta)")
            }
            let match = base.tensors.first {
                $0.name == tensor.name && $0.dtype.rawValue == tensor.dtype && $0.shape == tensor.shape
                    && $0.memoryOrder != nil
            }
            guard let match else {
                throw ArchiveError.layer(
                    tensor: layer.name,
                    reason: "\(base.path): expected a tensor of that name, \(tensor.dtype) \(tensor.shape), found none")
            }
            found = BaseBytes(base, match)
            place = base.path
        }
        let hash = found.hash
        guard hash == record.base else {
            throw ArchiveError.layer(
                tensor: layer.name,
                reason:
                    "\(place): expected the bytes that it was packed against, hash \(record.base ?? ""), found \(hash)")
        }
        return found
    }

    /// The bytes of a packed tensor, restored with what it was packed against.
    func restoredBytes(of index: Int) throws -> BaseBytes {
        guard let layer = valid.planed.first(where: { $0.tensor == index }) else {
            throw ArchiveError.layer(
                tensor: valid.manifest.tensors[index].name, reason: "\(path): expected a packed tensor, found another")
        }
        return BaseBytes(try withBytes(of: layer, planes(of: layer)) { _, bytes in Array(bytes) })
    }
}
