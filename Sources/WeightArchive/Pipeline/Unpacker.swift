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
    ///   - progress: receives progress.
    /// - Returns: names of the tensors that this machine's decoders restored a little otherwise than they were at packing,
    ///   which happens with lossy audio only.
    /// - Throws: `ArchiveError`; then no output exists.
    @discardableResult
    public func unpack(
        to path: String, threads: Int, force: Bool, progress: ProgressHandler = { _ in }
    ) async throws -> [String] {
        let names = packed.fileNames
        guard names.count > 1 else { return try await restore([path], threads: threads, force: force, progress) }
        var status = stat()
        guard lstat(path, &status) != 0 else {
            guard force else { throw ArchiveError.exists(path: path) }
            return try await restore(names.map { "\(path)/\($0)" }, threads: threads, force: true, progress)
        }
        let folder = try AtomicFile(path, force: false).temporary
        guard mkdir(folder, 0o777) == 0 else { throw ArchiveError.cannotWrite(path: path, reason: systemMessage()) }
        do {
            let files = names.map { "\(folder)/\($0)" }
            let changed = try await restore(files, threads: threads, force: false, progress)
            guard rename(folder, path) == 0 else {
                throw ArchiveError.cannotWrite(path: path, reason: systemMessage())
            }
            return changed
        } catch {
            for name in names { unlink("\(folder)/\(name)") }
            rmdir(folder)
            throw error
        }
    }

    /// Restores the model's files under these names, which appear when all are complete.
    private func restore(
        _ paths: [String], threads: Int, force: Bool, _ progress: ProgressHandler
    ) async throws -> [String] {
        let outputs = try paths.map { path throws(ArchiveError) in
            try AtomicFile(path, force: force, inputs: [packed.path])
        }
        let changed = try await restore(to: outputs, threads: threads, progress)
        for output in outputs { try output.commit() }
        return changed
    }

    private func restore(
        to outputs: [AtomicFile], threads: Int, _ progress: ProgressHandler
    ) async throws -> [String] {
        let manifest = packed.valid.manifest
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        for (output, file) in zip(outputs, manifest.source.files) {
            descriptors.append(try output.create())
            guard ftruncate(descriptors[descriptors.count - 1], file.size) == 0 else {
                throw ArchiveError.cannotWrite(path: output.path, reason: systemMessage())
            }
        }
        try writeSkeletons(outputs, descriptors)
        try writeExact(outputs, descriptors)
        let files = descriptors
        let groups = packed.valid.groups
        let total = groups.reduce(0) { $0 + $1.weightCount }
        let largest = packed.valid.byteCounts.max() ?? 0
        var done = 0
        var changed: [String] = []
        progress(Progress(done: 0, total: total))
        let paths = outputs.map(\.path)
        try await runJobs(memory: groups.map(\.memory), limit: max(threads, 1), budget: 2 * largest + 64 << 20) {
            group in
            try groups[group].format.bytesPerSample == 1
                ? restore(group, UInt8.self, files, paths) : restore(group, UInt16.self, files, paths)
        } done: { group, names in
            changed += names
            done += groups[group].weightCount
            progress(Progress(done: done, total: total))
        }
        return changed.sorted()
    }

    /// Restores the layers of a group.
    ///
    /// - Returns: names of those that a decoder of lossy audio rounded otherwise than at packing.
    private func restore<Bin: BinScalar>(
        _ group: Int, _: Bin.Type, _ files: [Int32], _ paths: [String]
    ) throws -> [String] {
        let layers = packed.valid.groups[group].layers
        let isExact = packed.valid.groups[group].codec.description.decodesExactly
        var changed: [String] = []
        try decode(packed.valid.groups[group], as: Bin.self) {
            try packed.stream(group, $0)
        } takeLayer: { index, bins in
            let layer = layers[index]
            let found =
                layer.isDouble
                ? try write(layer, bins, Double.self, files, paths) : try write(layer, bins, Float.self, files, paths)
            let tensor = packed.valid.manifest.tensors[layer.tensor]
            if !isExact, found != tensor.packed?.hash {
                changed.append(layer.name)
            } else {
                try expect(tensor.packed?.hash ?? "", found, "tensor \(layer.name)", packed.path)
            }
        }
        return changed
    }

    /// Reconstructs a layer's weights and writes them in their place.
    ///
    /// - Returns: the hash of the restored bytes.
    private func write<Scalar: WeightScalar, Bin: BinScalar>(
        _ layer: PlacedLayer, _ bins: Span<Bin>, _: Scalar.Type, _ files: [Int32], _ paths: [String]
    ) throws -> String {
        let tensor = packed.valid.manifest.tensors[layer.tensor]
        let dtype = DType(rawValue: tensor.dtype)
        let size = (dtype.bitWidth ?? 0) / 8
        let codebook = try packed.codebook(layer)
        let hasher = Hasher128()
        let chunk = TensorWeights<Scalar>.chunk
        var restored = [Scalar](repeating: 0, count: min(chunk, bins.count))
        var bytes = [UInt8](repeating: 0, count: restored.count * size)
        for start in stride(from: 0, to: bins.count, by: chunk) {
            let count = min(chunk, bins.count - start)
            try restored.withUnsafeMutableBufferPointer { restored in
                let restored = UnsafeMutableBufferPointer(rebasing: restored[..<count])
                var span = restored.mutableSpan
                codebook.reconstruct(bins.extracting(start..<start + count), at: start, into: &span)
                try bytes.withUnsafeMutableBytes { bytes in
                    let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * size)])
                    store(UnsafeBufferPointer(restored), dtype, into: bytes)
                    hasher.update(UnsafeRawBufferPointer(bytes))
                    try writeFully(
                        files[tensor.at[0]], UnsafeRawBufferPointer(bytes), at: tensor.at[1] + start * size,
                        path: paths[tensor.at[0]])
                }
            }
        }
        return hasher.digest
    }

    /// Writes the bytes around the tensors.
    private func writeSkeletons(_ outputs: [AtomicFile], _ descriptors: [Int32]) throws {
        let manifest = packed.valid.manifest
        for (index, file) in manifest.source.files.enumerated() {
            var holes = zip(manifest.tensors, packed.valid.byteCounts)
                .filter { $0.0.at[0] == index && $0.0.inSkeleton != true && $0.1 > 0 }
                .map { $0.0.at[1]..<$0.0.at[1] + $0.1 }[...]
            var position = 0
            let hasher = Hasher128()
            try packed.reader.forEachPiece(of: EntryName.skeleton(file.name)) { piece in
                hasher.update(piece)
                var piece = piece
                while !piece.isEmpty {
                    while let hole = holes.first, hole.lowerBound == position {
                        position = hole.upperBound
                        holes.removeFirst()
                    }
                    let count = min(piece.count, (holes.first?.lowerBound ?? file.size) - position)
                    try writeFully(
                        descriptors[index], UnsafeRawBufferPointer(rebasing: piece[..<count]), at: position,
                        path: outputs[index].path)
                    position += count
                    piece = UnsafeRawBufferPointer(rebasing: piece[count...])
                }
            }
            try expect(file.skeleton, hasher.digest, EntryName.skeleton(file.name), packed.path)
        }
    }

    /// Writes the tensors that were kept, which follow each other in `exact.safetensors`.
    private func writeExact(_ outputs: [AtomicFile], _ descriptors: [Int32]) throws {
        let manifest = packed.valid.manifest
        guard let expected = manifest.exact else { return }
        var targets = zip(manifest.tensors, packed.valid.byteCounts)
            .filter { $0.0.kept != nil && $0.0.inSkeleton != true && $0.1 > 0 }
            .map { (file: $0.0.at[0], offset: $0.0.at[1], left: $0.1) }[...]
        let size = try packed.reader.size(of: EntryName.exact) ?? 0
        var header = size - targets.reduce(0) { $0 + $1.left }
        let hasher = Hasher128()
        try packed.reader.forEachPiece(of: EntryName.exact) { piece in
            hasher.update(piece)
            let skipped = min(header, piece.count)
            header -= skipped
            var piece = UnsafeRawBufferPointer(rebasing: piece[skipped...])
            while !piece.isEmpty, let target = targets.first {
                let count = min(piece.count, target.left)
                try writeFully(
                    descriptors[target.file], UnsafeRawBufferPointer(rebasing: piece[..<count]), at: target.offset,
                    path: outputs[target.file].path)
                piece = UnsafeRawBufferPointer(rebasing: piece[count...])
                targets[targets.startIndex].offset += count
                targets[targets.startIndex].left -= count
                if targets[targets.startIndex].left == 0 { targets.removeFirst() }
            }
        }
        try expect(expected, hasher.digest, EntryName.exact, packed.path)
    }
}
