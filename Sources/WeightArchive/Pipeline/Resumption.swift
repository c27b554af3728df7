import CZlib
import Codecs
import FoundationEssentials
import Glibc
import ModelFiles
import WeightMapper

/// The groups that are packed, by index.
struct FinishedGroups: Sendable {
    var entries: [PackJournal.Entry?]

    init(count: Int) { entries = Array(repeating: nil, count: count) }
}

// What an earlier run packed is taken where the group is the same, its weights have the bytes that they had, and the streams
// those that they were. So it does not matter which command made it.
extension Packer {
    /// Takes what an earlier run left of this job in the spool.
    ///
    /// - Throws: `ArchiveError.cancelled`, `.cannotWrite`, `.io`.
    func resume(
        _ journal: PackJournal, into finished: inout FinishedGroups, _ progress: ProgressHandler,
        _ note: (String) -> Void
    ) async throws {
        let spool = journal.spool
        guard let path = spool.path, spool.size > Spool.signature.count else { return }
        let indices = try Dictionary(
            groups.indices.map { (try identity(of: groups[$0]), $0) }, uniquingKeysWith: { $1 })
        for entry in try journal.entries() {
            // The last record of a group is of the weights that were seen last.
            guard let index = indices[entry.record.identity], entry.record.describes(groups[index], options) else {
                continue
            }
            finished.entries[index] = entry
        }
        let found = finished.entries.enumerated().compactMap { index, entry in entry.map { (index, $0) } }
        let file = spool.descriptor
        var verified = 0
        var changed = 0
        try await runJobs(memory: found.map { _ in 0 }, limit: max(options.threads, 1), budget: 0) { job in
            let (index, entry) = found[job]
            return try zip(entry.streams, entry.record.streams).allSatisfy { place, stream in
                try hash(file, from: place.offset, place.length, path: path) == stream.hash
            } && hashOfOriginals(groups[index]) == entry.record.originals
        } done: { job, isIntact in
            let index = found[job].0
            if isIntact {
                verified += groups[index].weightCount
                progress(Progress(done: verified, total: weightCount, resumed: verified))
            } else {
                finished.entries[index] = nil
                changed += groups[index].layers.count
            }
        }
        guard verified > 0 else {
            try spool.clear()
            return note("\(path): holds nothing of this model as it is to be packed now; beginning anew")
        }
        note("\(path): going on from \(percent(finished)) %")
        if changed > 0 {
            note("\(path): \(changed == 1 ? "1 layer is" : "\(changed) layers are") not as packed then; packing again")
        }
    }

    /// Weights of the groups that are packed.
    func weights(of finished: FinishedGroups) -> Int {
        zip(groups, finished.entries).reduce(0) { $0 + ($1.1 == nil ? 0 : $1.0.weightCount) }
    }

    private func percent(_ finished: FinishedGroups) -> Int {
        Int(100 * Double(weights(of: finished)) / Double(max(weightCount, 1)))
    }

    /// Keeps the spool where the same command can go on from it, and says so in the error.
    func keeping(_ spool: Spool, _ finished: FinishedGroups, _ error: ArchiveError) -> ArchiveError {
        guard let partial = spool.path, weights(of: finished) > 0 else { return error }
        switch error {
        case .cancelled:
            spool.isKept = true
            return .stopped(percent: percent(finished), partial: partial)
        case .cannotWrite(let path, let reason):
            spool.isKept = true
            let way = "the same command goes on from \(percent(finished)) % (to give up, delete \(partial))"
            return .cannotWrite(path: path, reason: "\(reason); \(way)")
        default:
            return error
        }
    }
}

// MARK: - What makes a group the same

extension Packer {
    /// All that decides, with the bytes of its tensors, what a group becomes.
    private struct Identity: Encodable {
        let program: String
        let libraries: [String]
        let codec, range, reconstruction: String
        let width, height, bits: Int
        let frames: [Int]
        let hasChecksums: Bool
        let layers: [Layer]

        struct Layer: Encodable {
            let name, dtype, kind: String
            let shape, at: [Int]
            let memoryOrder: [Int]?
            let axes: [Manifest.Axis]
            let block: BlockShape?
        }
    }

    /// A hash of all that decides, with the bytes of its tensors, what a group becomes.
    func identity(of group: StreamGroup) throws -> String {
        let identity = Identity(
            program: program, libraries: CodecRegistry.libraryVersions + ["zlib \(String(cString: zlibVersion()))"],
            codec: group.codec.specification, range: options.range.rawValue,
            reconstruction: options.reconstruction.rawValue, width: group.format.width, height: group.format.height,
            bits: group.format.bitDepth, frames: group.framesOfStreams, hasChecksums: !model.checksums.isEmpty,
            layers: group.layers.map { layer in
                let record = tensors[layer.tensor].record
                var block: BlockShape?
                if case .pictures(let tiling) = layer.placement { block = tiling.block }
                return Identity.Layer(
                    name: layer.name, dtype: record.dtype.rawValue, kind: layer.geometry.kind.rawValue,
                    shape: record.shape, at: [record.extent.file, record.extent.offset, record.extent.length],
                    memoryOrder: record.memoryOrder,
                    axes: layer.geometry.axes.map { .init(role: $0.role.rawValue, count: $0.count) }, block: block)
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return Array(try encoder.encode(identity)).withUnsafeBytes { Hasher128.hash($0) }
    }

    /// The hash of the bytes of a group's tensors in the model.
    func hashOfOriginals(_ group: StreamGroup) -> String {
        let hasher = Hasher128()
        for layer in group.layers {
            let extent = tensors[layer.tensor].record.extent
            model.files[extent.file].file.forEachPiece(of: extent.range) { hasher.update($1) }
        }
        return hasher.digest
    }
}

/// This build of the program: another may pack otherwise.
private let program: String = {
    var status = stat()
    guard stat("/proc/self/exe", &status) == 0 else { return "" }
    return "\(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
}()
