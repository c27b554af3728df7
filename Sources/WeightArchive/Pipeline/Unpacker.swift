import Codecs
import Glibc
import ModelFiles
import WeightMapper

/// Restores a model in the format it came from: the skeleton's bytes, and in their places the tensors.
public struct Unpacker: Sendable {
    /// The packed file.
    public let packed: PackedModel

    /// An unpacker for a packed file.
    public init(_ packed: PackedModel) { self.packed = packed }

    /// Restores the model's file, or for a model of several files the folder that holds them.
    ///
    /// - Parameters:
    ///   - path: the file or folder to write.
    ///   - threads: jobs at the same time.
    ///   - force: whether existing files are replaced; in an existing folder one after the other.
    ///   - isLasting: whether the files are to outlive a power failure, for which the disk must have them first.
    ///   - progress: receives progress.
    /// - Returns: names of the tensors that this machine's decoders restored a little otherwise than they were at packing,
    ///   which happens with lossy audio only.
    /// - Throws: `ArchiveError`; then no output exists.
    @discardableResult
    public func unpack(
        to path: String, threads: Int, force: Bool, isLasting: Bool = true, progress: ProgressHandler = { _ in }
    ) async throws -> [String] {
        guard packed.isFolder else {
            let output = try AtomicFile(path, force: force, inputs: [packed.path], isLasting: isLasting)
            TemporaryName.removeLeftovers(in: output.folder)
            let changed = try await restore(
                to: RestoredFiles([(output.temporary, path)]), threads: threads, progress)
            try output.commit()
            return changed
        }
        let output = try OutputFolder(
            path, names: packed.fileNames, force: force, inputs: [packed.path], isLasting: isLasting)
        let changed = try await restore(to: output.files, threads: threads, progress)
        try output.commit()
        return changed
    }

    private func restore(
        to files: RestoredFiles, threads: Int, _ progress: ProgressHandler
    ) async throws -> [String] {
        try await packed.whileUnchanged { try await restoreAll(to: files, threads: threads, progress) }
    }

    private func restoreAll(
        to files: RestoredFiles, threads: Int, _ progress: ProgressHandler
    ) async throws -> [String] {
        try restoreSurroundings(to: files)
        let groups = packed.valid.groups
        let planed = packed.valid.planed
        let total = groups.reduce(0) { $0 + $1.weightCount } + planed.reduce(0) { $0 + $1.geometry.count }
        let largest = packed.valid.byteCounts.max() ?? 0
        var done = 0
        var changed: [String] = []
        progress(Progress(done: 0, total: total))
        try await runJobs(memory: groups.map(\.memory), limit: max(threads, 1), budget: 2 * largest + 64 << 20) {
            group in
            try restore(group, files)
        } done: { group, names in
            changed += names
            done += groups[group].weightCount
            progress(Progress(done: done, total: total))
        }
        // What others were packed against comes first.
        for wave in packed.valid.waves {
            try await runJobs(
                memory: wave.map { planed[$0[0]].memory }, limit: max(threads, 1), budget: 4 * largest + 64 << 20
            ) {
                try restore(unit: wave[$0], files)
            } done: { job, names in
                changed += names
                done += wave[job].reduce(0) { $0 + planed[$1].geometry.count }
                progress(Progress(done: done, total: total))
            }
        }
        try recode(files)
        return changed.sorted()
    }

    /// Restores all but the layers, which are left zero.
    func restoreSurroundings(to files: RestoredFiles) throws {
        for (index, file) in packed.valid.manifest.source.files.enumerated() {
            try files.create(index, size: file.size)
        }
        try writeSkeletons(files)
        try writeExact(files)
        try writeKept(files)
    }

    /// Makes of each plain form, which was restored in its file's place, the file that it stands for.
    ///
    /// - Parameter readsBack: whether each file is read again, and must give its plain form.
    func recode(_ files: RestoredFiles, readsBack: Bool = false) throws {
        for (index, source) in packed.valid.manifest.source.files.enumerated() {
            guard let recoding = source.recoding else { continue }
            guard !Task.isCancelled else { throw ArchiveError.cancelled }
            try files.remake(index) { plain, file, path in
                errno = 0
                do throws(ModelFileError) {
                    let plain = try MappedFile(plain, path: source.name)
                    try recoding.restore(plain, to: file, path: source.name)
                    if readsBack { try recoding.check(file, isOf: plain, path: source.name) }
                } catch {
                    // libhdf5 does not say why it cannot write.
                    if case .unreadable(_, let reason) = error, [ENOSPC, EDQUOT, EFBIG, EIO].contains(errno) {
                        throw ArchiveError.cannotWrite(path: path, reason: reason)
                    }
                    throw ArchiveError.recoding(path: packed.path, reason: error.description)
                }
            }
        }
    }

    /// Restores the layers of a group.
    ///
    /// - Returns: names of those that a decoder of lossy audio rounded otherwise than at packing.
    func restore(_ group: Int, _ files: RestoredFiles) throws -> [String] {
        var changed: [String] = []
        try packed.forEachLayer(of: group) { layer, restored in
            let place = packed.valid.manifest.tensors[layer.tensor].at
            let isChanged = try files.write(to: place[0]) { write in try restored { try write(place[1] + $0, $1) } }
            if isChanged { changed.append(layer.name) }
        }
        return changed
    }

    /// Restores layers of planes that are decoded together.
    ///
    /// - Returns: names of those that a decoder of lossy audio rounded otherwise than at packing.
    private func restore(unit: [Int], _ files: RestoredFiles) throws -> [String] {
        let layer = packed.valid.planed[unit[0]]
        func earlier(_ index: Int) throws -> BaseBytes {
            let base = packed.valid.manifest.tensors[index]
            return BaseBytes(try files.read(base.at[0], at: base.at[1], count: packed.valid.byteCounts[index]))
        }
        guard let film = layer.film else {
            return try restore(layer, nil, earlier: earlier, to: files) ? [layer.name] : []
        }
        return try restore(packed.valid.films[film], earlier: earlier, to: files)
    }

    /// Restores the layers of a film.
    ///
    /// - Parameter earlier: gives the bytes of a tensor that a layer was packed against.
    /// - Returns: names of those that a decoder of lossy audio rounded otherwise than at packing.
    func restore(_ film: Film, earlier: (Int) throws -> BaseBytes, to files: RestoredFiles) throws -> [String] {
        var changed: [String] = []
        try packed.forEachLayer(of: film) { layer, planes in
            if try restore(layer, planes, earlier: earlier, to: files) { changed.append(layer.name) }
        }
        return changed
    }

    /// Restores a layer of planes.
    ///
    /// - Parameters:
    ///   - planes: its planes; `nil` where they are still to be decoded.
    ///   - earlier: gives the bytes of a tensor that it was packed against.
    ///   - take: receives its bytes too, piece by piece.
    /// - Returns: whether a decoder of lossy audio rounded it otherwise than at packing.
    func restore(
        _ layer: PlanedLayer, _ planes: [Plane]?, earlier: (Int) throws -> BaseBytes, to files: RestoredFiles,
        _ take: (UnsafeRawBufferPointer) -> Void = { _ in }
    ) throws -> Bool {
        let place = packed.valid.manifest.tensors[layer.tensor].at
        return try files.write(to: place[0]) { write in
            try packed.restore(layer, planes, earlier: earlier) {
                try write(place[1] + $0, $1)
                take($1)
            }
        }
    }

    /// Writes the bytes around the tensors.
    private func writeSkeletons(_ files: RestoredFiles) throws {
        let manifest = packed.valid.manifest
        var holesOfFiles: [Int: [Range<Int>]] = [:]
        for (tensor, bytes) in zip(manifest.tensors, packed.valid.byteCounts)
        where tensor.inSkeleton != true && bytes > 0 {
            holesOfFiles[tensor.at[0], default: []].append(tensor.at[1]..<tensor.at[1] + bytes)
        }
        for (index, source) in manifest.source.files.enumerated() {
            var holes = holesOfFiles[index, default: []][...]
            var position = 0
            let hasher = Hasher128()
            try files.write(to: index) { write in
                try packed.reader.forEachPiece(of: EntryName.skeleton(source.name)) { piece in
                    hasher.update(piece)
                    var piece = piece
                    while !piece.isEmpty {
                        while let hole = holes.first, hole.lowerBound == position {
                            position = hole.upperBound
                            holes.removeFirst()
                        }
                        let count = min(piece.count, (holes.first?.lowerBound ?? source.size) - position)
                        try write(position, UnsafeRawBufferPointer(rebasing: piece[..<count]))
                        position += count
                        piece = UnsafeRawBufferPointer(rebasing: piece[count...])
                    }
                }
            }
            try expect(source.skeleton, hasher.digest, EntryName.skeleton(source.name), packed.path)
        }
    }

    /// Writes the kept tensors that are in a picture.
    private func writeKept(_ files: RestoredFiles) throws {
        guard let blob = packed.valid.manifest.kept else { return }
        let tensors = packed.valid.manifest.tensors.filter(\.isInPicture)
        let words = tensors.compactMap { tensor in
            FloatFormat(rawValue: tensor.dtype).map { (format: $0, count: elementCount(tensor.shape) ?? 0) }
        }
        let bytes = try ByteImage.read(EntryName.kept, blob, packed.reader)
        do {
            try WordRun.restore(bytes, words) { number, bytes in
                let place = tensors[number].at
                try files.write(to: place[0]) { try $0(place[1], bytes) }
            }
        } catch let error as MapperError {
            throw ArchiveError.damaged(
                path: packed.path, part: EntryName.kept, expected: "the words of its tensors", found: "\(error)")
        }
    }

    /// Writes the kept tensors that follow each other in `exact.safetensors`.
    private func writeExact(_ files: RestoredFiles) throws {
        let manifest = packed.valid.manifest
        guard let expected = manifest.exact else { return }
        var targets = zip(manifest.tensors, packed.valid.byteCounts)
            .filter { $0.0.isInExact && $0.1 > 0 }
            .map { (file: $0.0.at[0], offset: $0.0.at[1], left: $0.1) }[...]
        let size = try packed.reader.size(of: EntryName.exact) ?? 0
        var header = size - targets.reduce(0) { $0 + $1.left }
        let hasher = Hasher128()
        try packed.reader.forEachPiece(of: EntryName.exact) { piece in
            hasher.update(piece)
            let skipped = min(header, piece.count)
            header -= skipped
            var piece = UnsafeRawBufferPointer(rebasing: piece[skipped...])
            while !piece.isEmpty, let index = targets.first?.file {
                // All that goes to one file, while it is open.
                try files.write(to: index) { write in
                    while !piece.isEmpty, let target = targets.first, target.file == index {
                        let count = min(piece.count, target.left)
                        try write(target.offset, UnsafeRawBufferPointer(rebasing: piece[..<count]))
                        piece = UnsafeRawBufferPointer(rebasing: piece[count...])
                        targets[targets.startIndex].offset += count
                        targets[targets.startIndex].left -= count
                        if targets[targets.startIndex].left == 0 { targets.removeFirst() }
                    }
                }
            }
        }
        try expect(expected, hasher.digest, EntryName.exact, packed.path)
    }
}
