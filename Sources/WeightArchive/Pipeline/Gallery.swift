import Codecs
import ModelFiles
import WeightMapper

/// Every picture of every layer as a PNG in a folder: those that `pictures(of:)` gives, layer by layer.
public struct Gallery: Sendable {
    /// A layer and its pictures' files.
    public struct Layer: Sendable, Equatable {
        /// The tensor's name.
        public let name: String
        /// Names of the files in the folder, one for each picture.
        public let files: [String]
    }

    /// Layers in the order of the model.
    public let layers: [Layer]

    /// Writes the pictures of a packed file's layers.
    ///
    /// - Parameters:
    ///   - packed: the packed file.
    ///   - path: the folder to write, which appears when it is complete.
    ///   - threads: layers at the same time, as far as memory for the largest one allows.
    ///   - force: whether pictures go to a folder that exists, where they replace files of their names.
    ///   - progress: receives progress.
    /// - Throws: `ArchiveError`; then no folder exists.
    public static func write(
        of packed: PackedModel, to path: String, threads: Int, force: Bool, progress: ProgressHandler = { _ in }
    ) async throws -> Gallery {
        let planed = packed.valid.planed.sorted { $0.tensor < $1.tensor }.map { layer in
            let first = layer.planes[0].group.layers[0]
            return (name: layer.name, geometry: first.geometry, bits: first.bits)
        }
        let binned = packed.valid.groups.flatMap(\.layers).sorted { $0.tensor < $1.tensor }
            .map { (name: $0.name, geometry: $0.geometry, bits: $0.bits) }
        let placed = planed + binned
        let gallery = Gallery(placed.map { ($0.name, Tiling(image: $0.geometry).frameCount) })
        let folder = try OutputFolder(path, names: gallery.files, force: force, inputs: [packed.path])
        let files = folder.files
        try await packed.forEachDecodedLayer(threads: threads, progress: progress) { layer in
            let placed = placed[layer.index]
            func make<Bin: BinScalar>(_: Bin.Type) throws {
                let bins = layer.bins.bindMemory(to: Bin.self)
                try gallery.write(layer.index, bins.span, placed.geometry, placed.bits, to: files)
            }
            try placed.bits <= 8 ? make(UInt8.self) : make(UInt16.self)
        }
        try folder.commit()
        return gallery
    }

    /// Writes the pictures of the layers that packing a model with these options would pack.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - options: how tensors become bins.
    ///   - path: the folder to write, which appears when it is complete.
    ///   - threads: layers at the same time, as far as memory for the largest one allows.
    ///   - force: whether pictures go to a folder that exists, where they replace files of their names.
    ///   - progress: receives progress.
    /// - Throws: `ArchiveError`; then no folder exists.
    public static func write(
        of model: ModelFile, _ options: PackOptions, to path: String, threads: Int, force: Bool,
        progress: ProgressHandler = { _ in }
    ) async throws -> Gallery {
        struct Chosen: Sendable {
            let tensor: SelectedTensor
            let geometry: LayerGeometry
        }
        let chosen = try select(model, options).compactMap { tensor in
            tensor.geometry.flatMap { tensor.kept == nil ? Chosen(tensor: tensor, geometry: $0) : nil }
        }
        let gallery = Gallery(chosen.map { ($0.tensor.record.name, Tiling(image: $0.geometry).frameCount) })
        let folder = try OutputFolder(
            path, names: gallery.files, force: force, inputs: model.files.map(\.file.path))
        let files = folder.files
        let total = chosen.reduce(0) { $0 + $1.geometry.count }
        // Bins, a picture of them and that as PNG.
        let memory = chosen.map { 3 * $0.geometry.count * ($0.tensor.bits > 8 ? 2 : 1) }
        var done = 0
        progress(Progress(done: 0, total: total))
        try await runJobs(memory: memory, limit: max(threads, 1), budget: (memory.max() ?? 0) + 64 << 20) { index in
            let (tensor, geometry) = (chosen[index].tensor, chosen[index].geometry)
            func make<Bin: BinScalar>(_: Bin.Type) throws {
                let bins: [Bin] = try bins(of: tensor, geometry, in: model, options)
                try gallery.write(index, bins.span, geometry, tensor.bits, to: files)
            }
            try tensor.bits <= 8 ? make(UInt8.self) : make(UInt16.self)
        } done: { index, _ in
            done += chosen[index].geometry.count
            progress(Progress(done: done, total: total))
        }
        try model.checkUnchanged()
        try folder.commit()
        return gallery
    }

    /// Number of each layer's first file.
    private let firstFiles: [Int]

    private var files: [String] { layers.flatMap(\.files) }

    /// Names the files of layers, each with its number of pictures.
    private init(_ layers: [(name: String, pictures: Int)]) {
        var taken: Set<String> = []
        var firstFiles: [Int] = []
        self.layers = layers.map { name, pictures in
            firstFiles.append(taken.count)
            return Layer(
                name: name,
                files: (0..<pictures).map { number in
                    EntryName.safe(name, pictures > 1 ? ".\(number).png" : ".png", taken: &taken)
                })
        }
        self.firstFiles = firstFiles
    }

    private func write<Bin: BinScalar>(
        _ layer: Int, _ bins: Span<Bin>, _ geometry: LayerGeometry, _ bits: Int, to files: RestoredFiles
    ) throws {
        try forEachPicture(bins, geometry, bits: bits) { number, png in
            let file = firstFiles[layer] + number
            try files.create(file, size: 0)
            try files.write(to: file) { write in try png.withUnsafeBytes { try write(0, $0) } }
        }
    }
}
