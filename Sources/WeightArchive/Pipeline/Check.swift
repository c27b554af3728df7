import WeightMapper

/// What checking a packed file found.
public struct CheckResult: Sendable {
    /// Layers that were restored.
    public let layerCount: Int
    /// Weights of these.
    public let weightCount: Int
    /// Names of the layers that this machine's decoders restored a little otherwise than they were at packing, which happens with
    /// lossy audio only.
    public let changed: [String]
}

extension Unpacker {
    /// Restores all that the packed file holds and checks every hash, but keeps nothing.
    ///
    /// Files that compress their tensors are compressed anew, in the system's folder for temporary files, and read back: the
    /// packed file has no hash of what comes out.
    ///
    /// - Parameters:
    ///   - threads: jobs at the same time.
    ///   - progress: receives progress.
    /// - Throws: `ArchiveError`, which names the first part that is damaged.
    /// - Complexity: linear in the size of the model; memory for the largest tensors, twice of those that others were packed
    ///   against.
    public func check(threads: Int, progress: ProgressHandler = { _ in }) async throws -> CheckResult {
        try await packed.whileUnchanged { try await checkAll(threads: threads, progress) }
    }

    private func checkAll(threads: Int, _ progress: ProgressHandler) async throws -> CheckResult {
        let valid = packed.valid
        let sources = valid.manifest.source.files
        let scratch = sources.contains { $0.recoding != nil } ? try ScratchFolder() : nil
        defer { withExtendedLifetime(scratch) {} }
        let files = RestoredFiles(
            sources.enumerated().map { index, file in
                guard let scratch, file.recoding != nil else { return nil }
                return ("\(scratch.path)/\(index)", "\(scratch.parent)/\(file.name)")
            })
        try restoreSurroundings(to: files)
        // A tensor that others were packed against is restored once, just before them.
        let jobs =
            valid.groups.indices.map(CheckJob.group) + valid.films.map(CheckJob.film)
            + valid.families.map(CheckJob.family)
        let weights = jobs.map { job in
            switch job {
            case .group(let group): valid.groups[group].weightCount
            case .film(let film): film.layers.reduce(0) { $0 + valid.planed[$1].geometry.count }
            case .family(let layers): layers.reduce(0) { $0 + valid.planed[$1].geometry.count }
            }
        }
        let memory = jobs.map { job in
            switch job {
            case .group(let group): valid.groups[group].memory
            case .film(let film): valid.planed[film.layers[0]].memory
            case .family(let layers):
                (layers.map { valid.planed[$0].memory }.max() ?? 0)
                    + (layers.count > 1 ? 2 * valid.byteCounts[valid.planed[layers[0]].tensor] : 0)
            }
        }
        let largest = valid.byteCounts.max() ?? 0
        let total = weights.reduce(0, +)
        var done = 0
        var changed: [String] = []
        progress(Progress(done: 0, total: total))
        try await runJobs(memory: memory, limit: max(threads, 1), budget: 4 * largest + 64 << 20) { number in
            switch jobs[number] {
            case .group(let group): try restore(group, files)
            case .film(let film): try restore(film, earlier: packed.restoredBytes, to: files)
            case .family(let layers): try restore(family: layers, files)
            }
        } done: { number, names in
            changed += names
            done += weights[number]
            progress(Progress(done: done, total: total))
        }
        try recode(files, readsBack: true)
        return CheckResult(
            layerCount: valid.manifest.tensors.count { $0.packed != nil }, weightCount: total, changed: changed.sorted()
        )
    }

    /// Restores layers of which each was packed against an earlier one, whose bytes are kept as long as that takes.
    private func restore(family: [Int], _ files: RestoredFiles) throws -> [String] {
        let valid = packed.valid
        var left: [Int: Int] = [:]
        for number in family {
            if let base = valid.base(of: valid.planed[number]) { left[base, default: 0] += 1 }
        }
        var bases: [Int: BaseBytes] = [:]
        var changed: [String] = []
        for number in family {
            let layer = valid.planed[number]
            let isBase = left[layer.tensor] != nil
            var bytes: [UInt8] = []
            if isBase { bytes.reserveCapacity(valid.byteCounts[layer.tensor]) }
            let isChanged = try restore(
                layer, nil, earlier: { try bases[$0] ?? packed.restoredBytes(of: $0) }, to: files
            ) { piece in
                if isBase { bytes += piece }
            }
            if isChanged { changed.append(layer.name) }
            if isBase { bases[layer.tensor] = BaseBytes(bytes) }
            guard let base = valid.base(of: layer), let uses = left[base] else { continue }
            left[base] = uses - 1
            if uses == 1 { bases[base] = nil }
        }
        return changed
    }
}

/// What is checked at a time.
private enum CheckJob: Sendable {
    /// A group of streams with the layers that they hold.
    case group(Int)
    /// A film with the layers that it holds.
    case film(Film)
    /// Numbers of layers of planes.
    case family([Int])
}
