/// Several models as one: the checkpoints of a run, or whatever else belongs together.
///
/// They are restored as a folder. In it each model has its own name, preceded by as many of the folders above it as tell the names
/// apart: `step1.pt` and `step2.pt`, or `step1/model.pt` and `step2/model.pt`.
enum ModelSeries {
    /// Opens models in the order given.
    ///
    /// - Parameters:
    ///   - paths: at least two files or folders.
    ///   - layout: a JSON file that describes raw weights, for all of them.
    /// - Throws: ``ModelFileError`` for what is no model, and for one that is given twice.
    static func open(_ paths: [String], layout: String?) throws(ModelFileError) -> ModelFile {
        let names = try distinctNames(paths)
        var files: [ModelFile.Source] = []
        var tensors: [TensorRecord] = []
        var storages: [TensorRecord] = []
        var checksums: [ChecksumField] = []
        var notes: [String] = []
        var members: [ModelFile.Member] = []
        for (path, name) in zip(paths, names) {
            let model = try ModelFiles.open(path, layout: layout)
            let folder = model.format == .directory ? "\(name)/" : String(name.dropLast(fileName(name).count))
            let first = files.count
            files += model.files.map { $0.named(folder + $0.name) }
            func moved(_ tensor: TensorRecord) -> TensorRecord {
                var tensor = tensor.moved(toFile: first + tensor.extent.file)
                tensor.name = "\(name):\(tensor.name)"
                return tensor
            }
            tensors += model.tensors.map(moved)
            storages += model.storages.map(moved)
            checksums += model.checksums.map { $0.moved(toFile: first + $0.covered.file) }
            notes += model.notes.map { "\(shown(name)): \($0)" }
            members.append(.init(name: name, files: first..<files.count))
        }
        var taken: Set<[UInt8]> = []
        if let twice = files.first(where: { !taken.insert(Array($0.name.utf8)).inserted }) {
            throw .malformed(
                path: twice.file.path, part: "models", expected: "models that share no file", found: "two with this one"
            )
        }
        var tensorNames: Set<String> = []
        if let twice = tensors.first(where: { !tensorNames.insert($0.name).inserted }) {
            throw .invalidTensor(
                path: files[twice.extent.file].file.path, tensor: twice.name, expected: "a name of its own",
                found: "another tensor of that name")
        }
        return ModelFile(
            format: .directory, path: paths.joined(separator: ", "), files: files, tensors: tensors,
            storages: storages, checksums: checksums, notes: notes, members: members)
    }

    /// The ends of paths, as long as it takes to tell them apart.
    private static func distinctNames(_ paths: [String]) throws(ModelFileError) -> [String] {
        var components: [[Substring]] = []
        for path in paths {
            let end = path.utf8.lastIndex { $0 != UInt8(ascii: "/") }
            let trimmed = end.map { String(path[...$0]) } ?? path
            // A link keeps its own name, which says more than that of what it leads to; dots are none.
            let isPlain = ![".", "..", ""].contains(fileName(trimmed))
            let absolute =
                isPlain ? "\(try resolvedPath(parentFolder(trimmed)))/\(fileName(trimmed))" : try resolvedPath(trimmed)
            components.append(absolute.split(separator: "/"))
        }
        if let again = components.indices.first(where: { components[..<$0].contains(components[$0]) }) {
            throw .malformed(
                path: paths[again], part: "models", expected: "different models", found: "this one a second time")
        }
        let deepest = components.map(\.count).max() ?? 0
        for depth in 1...max(deepest, 1) {
            let names = components.map { $0.suffix(depth).joined(separator: "/") }
            if Set(names.map { Array($0.utf8) }).count == names.count { return names }
        }
        return components.map { $0.joined(separator: "/") }
    }
}
