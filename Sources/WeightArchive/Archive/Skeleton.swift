import CZlib
import ModelFiles

/// What of a model's files is not a packed weight: the tensors that are kept, and every other byte.
///
/// Unpacking lays the tensors into the skeleton; the checksums that the source format keeps over packed weights are renewed
/// here, in the skeleton, so that unpacking needs to know nothing about the format.
struct Skeleton {
    private let model: ModelFile
    private let tensors: [SelectedTensor]
    /// Where each tensor's bytes go.
    let places: [TensorPlace]
    /// Tensors that go to a picture.
    let picture: ByteImage?

    init(_ model: ModelFile, _ tensors: [SelectedTensor]) throws {
        self.model = model
        self.tensors = tensors
        var places = tensors.map(TensorPlace.init)
        let tiny = tensors.indices.filter { places[$0] != .stream && tensors[$0].isTiny }
        if tiny.count > mostWithHeaders.listed {
            for index in tiny { places[index] = .unlisted }
        }
        let inPicture = keptFloats(model, tensors, places)
        picture = try keptPicture(model, inPicture.map { tensors[$0].record })
        if picture != nil {
            for index in inPicture { places[index] = .picture }
        }
        if places.count(where: { $0 == .exact }) > mostWithHeaders.exact {
            for index in tensors.indices where places[index] == .exact { places[index] = .skeleton }
        }
        self.places = places
    }

    /// Writes kept tensors as a safetensors file.
    ///
    /// - Returns: its place and hash; `nil` when there are none.
    func spoolExact(to writer: ArchiveWriter) throws -> (place: ArchiveWriter.Spooled, hash: String)? {
        let kept = tensors.indices.filter { places[$0] == .exact }.map { tensors[$0].record }
        guard !kept.isEmpty else { return nil }
        let header = try SafetensorsHeader.bytes(for: kept.map { ($0, $0.extent.length) })
        let entry = writer.build()
        try withBytes(of: header) { bytes throws(ArchiveError) in try entry.append(bytes) }
        for tensor in kept { try copy(tensor.extent, [], to: entry) }
        return entry.result
    }

    /// Writes each file's bytes without the tensors that are stored elsewhere.
    ///
    /// - Parameter restoredCRC: CRC-32 of the restored bytes of each packed tensor.
    func spoolFiles(
        to writer: ArchiveWriter, restoredCRC: [Int: UInt]
    ) throws -> [(file: Manifest.File, place: ArchiveWriter.Spooled)] {
        try model.files.indices.map { index in
            let file = model.files[index]
            let removed = tensors.indices.filter {
                tensors[$0].record.extent.file == index && tensors[$0].record.extent.length > 0
                    && places[$0].isApart
            }
            let patches = checksums(of: index, restoredCRC)
            let rest = writer.build()
            var position = 0
            for tensor in removed {
                let extent = tensors[tensor].record.extent
                try copy(Extent(file: index, offset: position, length: extent.offset - position), patches, to: rest)
                position = extent.range.upperBound
            }
            try copy(Extent(file: index, offset: position, length: file.file.size - position), patches, to: rest)
            let (place, hash) = rest.result
            let entry = Manifest.File(
                name: file.name, size: file.file.size, skeleton: hash,
                original: file.recoding == nil && file.originalSize == file.file.size ? nil : file.originalSize,
                recoding: file.recoding)
            return (entry, place)
        }
    }

    /// New values of the checksum fields in a file, by offset.
    ///
    /// A field that did not hold the checksum before stays as it is: some writers leave it out, or make one up.
    private func checksums(of file: Int, _ restoredCRC: [Int: UInt]) -> [(offset: Int, value: UInt32)] {
        let packed = tensors.indices.filter { tensors[$0].kept == nil && tensors[$0].record.extent.file == file }
        return model.checksums.filter { $0.covered.file == file }.flatMap { checksum in
            let range = checksum.covered.range
            let inside = packed.filter { range.contains(tensors[$0].record.extent.offset) }
            guard !inside.isEmpty else { return [(offset: Int, value: UInt32)]() }
            var (original, restored): (UInt, UInt) = (0, 0)
            var position = range.lowerBound
            func append(upTo end: Int, restored crc: UInt? = nil) {
                guard end > position else { return }
                let length = end - position
                let found = originalCRC(Extent(file: file, offset: position, length: length))
                original = crc32_combine(original, found, length)
                restored = crc32_combine(restored, crc ?? found, length)
                position = end
            }
            for tensor in inside {
                let extent = tensors[tensor].record.extent
                append(upTo: extent.offset)
                append(upTo: extent.range.upperBound, restored: restoredCRC[tensor] ?? 0)
            }
            append(upTo: range.upperBound)
            return checksum.fields.filter { field(at: $0, of: file) == UInt32(truncatingIfNeeded: original) }
                .map { (offset: $0, value: UInt32(truncatingIfNeeded: restored)) }
        }.sorted { $0.offset < $1.offset }
    }

    private func field(at offset: Int, of file: Int) -> UInt32 {
        model.withBytes(of: Extent(file: file, offset: offset, length: 4)) {
            UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))
        }
    }

    /// Appends bytes of the model to an entry, the checksum fields among them renewed.
    private func copy(
        _ extent: Extent, _ patches: [(offset: Int, value: UInt32)], to entry: borrowing ArchiveWriter.Builder
    ) throws(ArchiveError) {
        try model.files[extent.file].file.forEachPiece(of: extent.range) { offset, bytes throws(ArchiveError) in
            let inside = patches.filter { $0.offset + 4 > offset && $0.offset < offset + bytes.count }
            guard !inside.isEmpty else { return try entry.append(bytes) }
            var copy = Array(bytes)
            for patch in inside {
                for i in 0..<4 where copy.indices.contains(patch.offset + i - offset) {
                    copy[patch.offset + i - offset] = UInt8(truncatingIfNeeded: patch.value >> UInt32(8 * i))
                }
            }
            try withBytes(of: copy) { bytes throws(ArchiveError) in try entry.append(bytes) }
        }
    }

    private func originalCRC(_ extent: Extent) -> UInt {
        var crc: UInt = 0
        model.files[extent.file].file.forEachPiece(of: extent.range) { crc = crc32_z(crc, $1.baseAddress, $1.count) }
        return crc
    }
}
