/// A dataset of an HDF5 file.
struct HDF5Dataset {
    /// Where its elements are.
    enum Storage {
        /// One run of bytes from this offset on.
        case contiguous(offset: Int)
        /// Chunks that may be compressed, each with the place of its bytes in the file once these are looked up.
        case chunks([Chunk], sizes: [Int])
        /// Elsewhere, for this reason: they stay as they are.
        case other(String)
    }

    /// A part of a chunked dataset as the file holds it.
    struct Chunk {
        let offset: Int
        let length: Int
    }

    /// Its path from the root, without a slash at the beginning.
    let path: String
    /// Nil for a type that is not read.
    let dtype: DType?
    let shape: [Int]
    var storage: Storage

    /// Bytes of all elements; nil where the type is not read or there are too many.
    var length: Int? {
        guard let bits = dtype?.bitWidth, let count = elementCount(shape) else { return nil }
        return byteCount(count, bits: bits)
    }
}

extension HDF5Library {
    /// Describes an open dataset.
    ///
    /// - Parameters:
    ///   - dataset: its identifier.
    ///   - name: its path in the file.
    ///   - size: bytes of the file.
    ///   - path: the file, for errors.
    func describe(
        _ dataset: Int64, _ name: String, fileSize size: Int, path: String
    ) throws(ModelFileError) -> HDF5Dataset {
        let part = "dataset \(quoted(name))"
        let type = try HDF5Handle(datasetType(dataset), closeType, path: path, part: part)
        let space = try HDF5Handle(datasetSpace(dataset), closeSpace, path: path, part: part)
        let properties = try HDF5Handle(datasetProperties(dataset), closeProperties, path: path, part: part)
        let dtype = dtype(of: type.id)
        func result(_ shape: [Int], _ storage: HDF5Dataset.Storage) -> HDF5Dataset {
            HDF5Dataset(path: name, dtype: dtype, shape: shape, storage: storage)
        }
        let rank = Int(spaceRank(space.id))
        // A null space has no elements, and no sizes.
        guard spaceKind(space.id) < 2, (0...32).contains(rank) else { return result([], .other("without elements")) }
        var sizes = [UInt64](repeating: 0, count: rank)
        if rank > 0, spaceSizes(space.id, &sizes, nil) < 0 { return result([], .other("without a size")) }
        let shape = sizes.compactMap { Int(exactly: $0) }
        guard shape.count == rank, dtype != nil else { return result(shape, .other("of a type that is not read")) }
        guard let bytes = result(shape, .other("")).length else {
            throw .malformed(path: path, part: part, expected: "a number of elements", found: "shape \(shape)")
        }
        guard externalCount(properties.id) == 0 else { return result(shape, .other("in another file")) }
        switch layout(properties.id) {
        case 1 where bytes == 0: return result(shape, .contiguous(offset: 0))
        case 1:
            if datasetStorage(dataset) == 0 { return result(shape, .other("that was never written")) }
            let offset = datasetOffset(dataset)
            guard let start = Int(exactly: offset), start <= size, bytes <= size - start,
                datasetStorage(dataset) == UInt64(bytes)
            else {
                throw .invalidTensor(
                    path: path, tensor: name, expected: "\(bytes) bytes within the file's \(size)",
                    found: "others at offset \(offset)")
            }
            return result(shape, .contiguous(offset: start))
        case 2:
            return result(shape, chunks(properties.id, shape, bytes: bytes))
        default: return result(shape, .other("in the header of the dataset, or virtual"))
        }
    }

    /// The little-endian numbers; nil for all else.
    private func dtype(of type: Int64) -> DType? {
        let size = typeSize(type)
        guard size == 1 || typeOrder(type) == 0 else { return nil }
        switch typeClass(type) {
        case 0:
            let isSigned = typeSign(type) == 1
            return [
                1: isSigned ? .i8 : .u8, 2: isSigned ? .i16 : .u16, 4: isSigned ? .i32 : .u32,
                8: isSigned ? .i64 : .u64,
            ][size]
        case 1:
            var (sign, exponent, exponentSize, mantissa, mantissaSize) = (0, 0, 0, 0, 0)
            guard floatFields(type, &sign, &exponent, &exponentSize, &mantissa, &mantissaSize) >= 0, mantissa == 0,
                exponent == mantissaSize, sign == exponent + exponentSize, sign == 8 * size - 1,
                floatBias(type) == 1 << (exponentSize - 1) - 1
            else { return nil }
            switch (size, exponentSize) {
            case (8, 11): return .f64
            case (4, 8): return .f32
            case (2, 5): return .f16
            case (2, 8): return .bf16
            default: return nil
            }
        default: return nil
        }
    }

    /// The chunks of a dataset, when what they are compressed with can be undone and done again without loss.
    private func chunks(_ properties: Int64, _ shape: [Int], bytes: Int) -> HDF5Dataset.Storage {
        if let filter = missingFilter(properties) { return .other("compressed by filter \(filter)") }
        var sizes = [UInt64](repeating: 0, count: shape.count)
        guard !shape.isEmpty, chunkSizes(properties, Int32(shape.count), &sizes) == Int32(shape.count) else {
            return .other("in chunks without a size")
        }
        // HDF5 keeps sizes of chunks in 32 bits.
        let sides = sizes.compactMap { Int(exactly: $0) }.filter { (1...Int(UInt32.max)).contains($0) }
        guard sides.count == shape.count, bytes > 0, let count = elementCount(shape), let volume = elementCount(sides),
            byteCount(volume, bits: bytes / count * 8) != nil
        else { return .other("in chunks without elements") }
        return .chunks([], sizes: sides)
    }

    /// The first filter of a dataset that cannot be undone and done again without loss.
    private func missingFilter(_ properties: Int64) -> Int32? {
        // deflate, shuffle, fletcher32, szip, and h5py's LZF.
        let lossless: Set<Int32> = [1, 2, 3, 4, 32000]
        for index in 0..<max(filterCount(properties), 0) {
            var (values, configuration) = (0, UInt32(0))
            let id = filter(properties, UInt32(index), nil, &values, nil, 0, nil, &configuration)
            var abilities: UInt32 = 0
            // Bit 0 of the abilities: it encodes; bit 1: it decodes.
            guard lossless.contains(id), filterIsAvailable(id) > 0, filterInfo(id, &abilities) >= 0,
                abilities & 3 == 3
            else { return id }
        }
        return nil
    }
}
