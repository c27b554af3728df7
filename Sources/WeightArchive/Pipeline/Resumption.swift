import CZlib
import Codecs
import FoundationEssentials
import Glibc
import ModelFiles
import WeightMapper

// What an earlier run packed is taken where the group is the same, its weights have the bytes that they had, and the streams
// those that they were. So it does not matter which command made it.
extension Packer {
    /// Takes what an earlier run left of this job in the spool.
    ///
    /// - Throws: `ArchiveError.cancelled`, `.cannotWrite`, `.io`.
    func resume(
        _ journal: PackJournal, into finished: inout FinishedUnits, _ progress: ProgressHandler,
        _ note: (String) -> Void
    ) async throws {
        let spool = journal.spool
        guard let path = spool.path, spool.size > Spool.signature.count else { return }
        let units = finished.units
        let indices = try Dictionary(
            units.indices.map { (try identity(of: units[$0]), $0) }, uniquingKeysWith: { $1 })
        for entry in try journal.entries() {
            // The last record of a group is of the weights that were seen last.
            guard let index = indices[entry.record.identity], entry.record.describes(units[index], tensors, options)
            else {
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
            } && hashOfOriginals(units[index]) == entry.record.originals
        } done: { job, isIntact in
            let index = found[job].0
            if isIntact {
                verified += units[index].weightCount
                progress(Progress(done: verified, total: finished.weightCount, resumed: verified))
            } else {
                finished.entries[index] = nil
                changed += units[index].tensors.count
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

    private func percent(_ finished: FinishedUnits) -> Int {
        Int(100 * Double(finished.finishedCount) / Double(max(finished.weightCount, 1)))
    }

    /// Keeps the spool where the same command can go on from it, and says so in the error.
    func keeping(_ spool: Spool, _ finished: FinishedUnits, _ error: ArchiveError) -> ArchiveError {
        guard let partial = spool.path, finished.finishedCount > 0 else { return error }
        switch error {
        case .cancelled:
            spool.keep()
            return .stopped(percent: percent(finished), partial: partial)
        case .cannotWrite(let path, let reason):
            spool.keep()
            let way = "the same command goes on from \(percent(finished)) % (to give up, delete \(partial))"
            return .cannotWrite(path: path, reason: "\(reason); \(way)")
        default:
            return error
        }
    }
}

// MARK: - What makes a group the same

extension Packer {
    /// All that decides, with the bytes of its tensors, what a unit becomes.
    private struct Identity: Encodable {
        let program: String
        let libraries: [String]
        let hasChecksums: Bool
        let layers: [Layer]
        /// Of a group: codec, range, reconstruction, and the frames of its streams with their width, height and bits.
        var settings: [String] = []
        var frames: [Int] = []

        struct Layer: Encodable {
            let name, dtype, kind: String
            let shape, at: [Int]
            let memoryOrder: [Int]?
            let axes: [Manifest.Axis]
            let block: BlockShape?
        }
    }

    /// A hash of all that decides, with the bytes of its tensors, what a unit becomes.
    func identity(of unit: PackUnit) throws -> String {
        func layer(_ tensor: Int, _ geometry: LayerGeometry, _ block: BlockShape?) -> Identity.Layer {
            let record = tensors[tensor].record
            return Identity.Layer(
                name: record.name, dtype: record.dtype.rawValue, kind: geometry.kind.rawValue, shape: record.shape,
                at: [record.extent.file, record.extent.offset, record.extent.length], memoryOrder: record.memoryOrder,
                axes: geometry.axes.map { .init(role: $0.role.rawValue, count: $0.count) }, block: block)
        }
        func libraries(_ codecs: [any MediaCodec]) -> [String] {
            codecs.map(\.libraryVersion) + ["zlib \(String(cString: zlibVersion()))"]
        }
        var identity: Identity
        switch unit {
        case .group(let group):
            identity = Identity(
                program: program, libraries: libraries([group.codec]), hasChecksums: !model.checksums.isEmpty,
                layers: group.layers.map { placed in
                    if case .pictures(let tiling) = placed.placement {
                        layer(placed.tensor, placed.geometry, tiling.block)
                    } else {
                        layer(placed.tensor, placed.geometry, nil)
                    }
                })
            identity.settings = [
                group.codec.specification, options.range.rawValue, options.reconstruction?.rawValue ?? "as pays",
            ]
            identity.frames = [group.format.width, group.format.height, group.format.bitDepth] + group.framesOfStreams
        case .layer, .film:
            let jobs = unit.jobs
            identity = Identity(
                program: program, libraries: libraries(jobs[0].codecs), hasChecksums: !model.checksums.isEmpty,
                layers: jobs.map { layer($0.tensor, $0.geometry, $0.block) })
            identity.settings = jobs.map { "\($0.quantizer)" } + jobs[0].codecs.map(\.specification)
            identity.settings.append(options.reconstruction?.rawValue ?? "as pays")
            if case .film(let film) = unit {
                identity.settings.append(film.codec.specification)
                identity.frames = film.block.sides + [film.framesPerLayer]
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return Array(try encoder.encode(identity)).withUnsafeBytes { Hasher128.hash($0) }
    }

    /// The hash of the bytes of a unit's tensors in the model, and of what they are packed against.
    func hashOfOriginals(_ unit: PackUnit) -> String {
        let hasher = Hasher128()
        for tensor in unit.tensors {
            let extent = tensors[tensor].record.extent
            model.files[extent.file].file.forEachPiece(of: extent.range) { hasher.update($1) }
        }
        for job in unit.jobs {
            if let base = job.quantizer.base, let bytes = bytes(of: base) { bytes.withBytes { hasher.update($0) } }
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
