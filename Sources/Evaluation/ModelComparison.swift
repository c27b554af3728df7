import Glibc
import ModelFiles
import WeightArchive
import WeightMapper

/// How a restored model differs from the original, tensor by tensor.
public struct ModelComparison: Sendable {
    /// One tensor of both models.
    public struct Tensor: Sendable {
        public let name: String
        public let dtype: String
        public let shape: [Int]
        /// Number of elements.
        public let count: Int
        /// Whether every byte is the same.
        public let isIdentical: Bool
        /// Error of the elements; `nil` where none can be taken (integers, float8) or every byte is the same.
        public let error: ErrorMeter?
    }

    /// Tensors in the original's order.
    public let tensors: [Tensor]
    /// Bytes that differ although they belong to no tensor and are no checksum: 0 unless something is wrong.
    public let foreignDifferences: Int

    /// Compares two models that should differ in weights only.
    ///
    /// - Throws: `EvaluationError.differentModels` when sizes, names, types, shapes or places differ.
    public init(_ original: ModelFile, _ restored: ModelFile) throws(EvaluationError) {
        let isLaidOutAnew = original.files.contains { $0.recoding?.keepsPlaces == false }
        guard isLaidOutAnew || original.files.map(\.file.size) == restored.files.map(\.file.size) else {
            throw .differentModels(Self.difference(between: original.files, restored.files))
        }
        guard original.tensors.count == restored.tensors.count else {
            throw .differentModels("expected \(original.tensors.count) tensors, found \(restored.tensors.count)")
        }
        var tensors: [Tensor] = []
        for (a, b) in zip(original.tensors, restored.tensors) {
            var placed = b
            if isLaidOutAnew { placed.extent = a.extent }
            guard a == placed, a.extent.length == b.extent.length else {
                throw .differentModels(
                    "expected tensor \(a.name) \(a.dtype) \(a.shape), found \(b.name) \(b.dtype) \(b.shape)")
            }
            tensors.append(
                a.dtype == .f64
                    ? Self.compare(TensorWeights<Double>(original, a), TensorWeights<Double>(restored, b))
                    : Self.compare(TensorWeights<Float>(original, a), TensorWeights<Float>(restored, b)))
        }
        self.tensors = tensors
        // What holds chunks together is written anew with them.
        foreignDifferences =
            isLaidOutAnew
            ? 0 : original.files.indices.reduce(0) { $0 + Self.foreignDifferences(original, restored, $1) }
    }

    /// What differs in files of unequal sizes, in words.
    private static func difference(between original: [ModelFile.Source], _ restored: [ModelFile.Source]) -> String {
        guard original.count == restored.count else {
            return "expected \(count(original.count, "file")), found \(restored.count)"
        }
        let unequal = zip(original, restored).first { $0.file.size != $1.file.size }
        return unequal.map { "\($0.name): expected \(grouped($0.file.size)) bytes, found \(grouped($1.file.size))" }
            ?? ""
    }

    private static func compare<Scalar: WeightScalar>(
        _ a: TensorWeights<Scalar>, _ b: TensorWeights<Scalar>
    ) -> Tensor {
        let tensor = a.tensor
        let isIdentical = areEqual(a.model, tensor.extent, b.model, b.tensor.extent)
        var meter: ErrorMeter?
        if !isIdentical, tensor.isPackable {
            var total = ErrorMeter()
            var other = [Scalar](repeating: 0, count: min(TensorWeights<Scalar>.chunk, tensor.count))
            a.forEachChunk { (start, chunk) in
                b.read(start..<start + chunk.count, into: &other)
                total.add(chunk, other.span.extracting(first: chunk.count))
            }
            meter = total
        }
        return Tensor(
            name: tensor.name, dtype: tensor.dtype.rawValue, shape: tensor.shape, count: tensor.count,
            isIdentical: isIdentical, error: meter)
    }

    /// Differing bytes of a file outside its tensors.
    private static func foreignDifferences(_ a: ModelFile, _ b: ModelFile, _ file: Int) -> Int {
        let extents = a.tensors.map(\.extent).filter { $0.file == file }.sorted { $0.offset < $1.offset }
        let checksums = Set(a.checksums.filter { $0.covered.file == file }.flatMap(\.fields).flatMap { $0..<$0 + 4 })
        var differences = 0
        var position = 0
        func compare(upTo end: Int) {
            guard end > position else { return }
            let gap = Extent(file: file, offset: position, length: end - position)
            guard !areEqual(a, gap, b, gap) else { return }
            a.withBytes(of: gap) { x in
                b.withBytes(of: gap) { y in
                    for i in x.indices where x[i] != y[i] && !checksums.contains(gap.offset + i) { differences += 1 }
                }
            }
        }
        for extent in extents {
            compare(upTo: extent.offset)
            position = max(position, extent.range.upperBound)
        }
        compare(upTo: a.files[file].file.size)
        return differences
    }
}

/// Whether two models have the same bytes in two extents of the same length.
private func areEqual(_ a: ModelFile, _ first: Extent, _ b: ModelFile, _ second: Extent) -> Bool {
    for start in stride(from: 0, to: first.length, by: 1 << 20) {
        func piece(_ extent: Extent) -> Extent {
            Extent(file: extent.file, offset: extent.offset + start, length: min(1 << 20, extent.length - start))
        }
        let isEqual = a.withBytes(of: piece(first)) { x in
            b.withBytes(of: piece(second)) { y in
                guard let x = x.baseAddress, let other = y.baseAddress else { return true }
                return memcmp(x, other, y.count) == 0
            }
        }
        a.files[first.file].file.release(piece(first).range)
        b.files[second.file].file.release(piece(second).range)
        guard isEqual else { return false }
    }
    return true
}
