import ModelFiles

extension PackedModel {
    /// Writes the packed file with another end of its model's first file, of which no tensor is a part.
    ///
    /// Everything else is copied as it lies: nothing is decoded.
    ///
    /// - Parameters:
    ///   - path: of the packed file that is written.
    ///   - force: whether a file of that name is replaced.
    ///   - removed: bytes that are taken away at the end.
    ///   - added: bytes that are put there.
    /// - Throws: `ArchiveError`.
    public func write(
        to path: String, force: Bool, removingAtEnd removed: Int, adding added: [UInt8]
    ) throws {
        var manifest = valid.manifest
        let file = manifest.source.files[0]
        let entry = EntryName.skeleton(file.name)
        let end =
            manifest.tensors.indices.filter {
                manifest.tensors[$0].at[0] == 0 && manifest.tensors[$0].inSkeleton != true
            }.map { manifest.tensors[$0].at[1] + valid.byteCounts[$0] }.max() ?? 0
        guard let size = try reader.size(of: entry), removed <= size, file.size - removed >= end, file.recoding == nil
        else {
            throw ArchiveError.damaged(
                path: self.path, part: file.name, expected: "\(removed) bytes after its tensors", found: "others")
        }
        let writer = try ArchiveWriter(path, force: force, inputs: [self.path])
        try writer.restart()
        let skeleton = writer.build()
        try copy(entry, size - removed, to: skeleton)
        try WeightArchive.withBytes(of: added) { bytes throws(ArchiveError) in try skeleton.append(bytes) }
        let (place, hash) = skeleton.result
        manifest.source.files[0].size = file.size - removed + added.count
        manifest.source.files[0].skeleton = hash
        guard let json = try? manifest.encoded() else {
            throw ArchiveError.cannotWrite(path: path, reason: "\(EntryName.manifest) cannot be encoded")
        }
        writer.add(EntryName.manifest, try writer.spool(json))
        let middle = [
            manifest.parameters.map { _ in EntryName.parameters }, manifest.kept.map { _ in EntryName.kept },
            manifest.exact.map { _ in EntryName.exact },
        ].compactMap(\.self)
        for name in manifest.streams.map(\.entry) + middle + manifest.source.files.map({ EntryName.skeleton($0.name) })
        {
            guard name != entry else {
                writer.add(name, place)
                continue
            }
            let bytes = writer.build()
            try copy(name, .max, to: bytes)
            writer.add(name, bytes.result.place)
        }
        _ = try writer.zip()
        _ = try writer.complete(base: base)
        try writer.commit()
    }

    /// Appends the first bytes of an entry to another one.
    private func copy(
        _ name: String, _ count: Int, to copy: borrowing ArchiveWriter.Builder
    ) throws(ArchiveError) {
        var left = count
        do {
            try reader.forEachPiece(of: name) { bytes in
                let length = min(left, bytes.count)
                left -= length
                try copy.append(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
            }
        } catch let error as ArchiveError {
            throw error
        } catch {
            throw .io(path: path, reason: "\(error)")
        }
    }
}
