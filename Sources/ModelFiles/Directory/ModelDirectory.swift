import Glibc

/// A folder of files in the layout of a model hub: one model or several, with configuration, vocabulary and whatever else
/// belongs to them.
///
/// Every file is carried along byte for byte; the tensors are those of the model files among them. Content decides what is a
/// model file, except that raw weights, which have no signature, are never guessed.
enum ModelDirectory {
    /// Whether a path leads to a folder.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        // The system would take the path to end at a zero byte.
        return !path.utf8.contains(0) && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Opens the model files below a folder.
    ///
    /// Tensors keep their names where there is one model; of several each tensor's begins with its model's file, as
    /// `onnx/model.onnx:encoder.weight`. A model file that cannot be read is carried along, and a note says so.
    ///
    /// - Throws: ``ModelFileError`` when the folder cannot be listed or holds no model that can be read.
    static func open(_ path: String) throws(ModelFileError) -> ModelFile {
        let end = path.utf8.lastIndex { $0 != UInt8(ascii: "/") }
        let root = end.map { String(path[...$0]) } ?? "/"
        let listing = try FolderListing(root)
        var files: [ModelFile.Source] = []
        files.reserveCapacity(listing.files.count)
        for name in listing.files { files.append(.init(name: name, file: try MappedFile("\(root)/\(name)"))) }
        let (models, failures) = open(modelsAmong: files)
        guard !models.isEmpty else {
            if let (_, error) = failures.first { throw error }
            throw .notAModel(path: path, found: "a folder without a model file that is read")
        }

        var tensors: [TensorRecord] = []
        var storages: [TensorRecord] = []
        var checksums: Set<ChecksumField> = []
        var notes = listing.notes
        for (name, error) in failures { notes.append("\(shown(name)): carried along unpacked: \(error)") }
        for member in models {
            for (place, source) in zip(member.places, member.model.files) {
                // In the form in which it has tensors, under its name here.
                files[place] = source.named(files[place].name)
            }
            let prefix = models.count == 1 ? "" : "\(member.name):"
            func moved(_ tensor: TensorRecord) -> TensorRecord {
                var tensor = tensor.moved(toFile: member.places[tensor.extent.file])
                tensor.name = prefix + tensor.name
                return tensor
            }
            tensors += member.model.tensors.map(moved)
            storages += member.model.storages.map(moved)
            for checksum in member.model.checksums {
                checksums.insert(checksum.moved(toFile: member.places[checksum.covered.file]))
            }
            notes += member.model.notes.map { models.count == 1 ? $0 : "\(shown(member.name)): \($0)" }
        }
        var names: Set<String> = []
        if let twice = tensors.first(where: { !names.insert($0.name).inserted }) {
            throw .invalidTensor(
                path: path, tensor: twice.name, expected: "a name of its own", found: "another tensor of that name")
        }
        return ModelFile(
            format: .directory, path: path, files: files, tensors: tensors,
            storages: storages,
            checksums: checksums.sorted {
                ($0.covered.file, $0.covered.offset, $0.covered.length) < (
                    $1.covered.file, $1.covered.offset, $1.covered.length
                )
            }, notes: notes)
    }

    /// A model, and where its files are among the folder's.
    private struct Member {
        let name: String
        let model: ModelFile
        let places: [Int]
    }

    /// Opens the model files among others; those that another one refers to, such as shards, are opened with that one only.
    private static func open(
        modelsAmong files: [ModelFile.Source]
    ) -> (models: [Member], failures: [(name: String, error: ModelFileError)]) {
        var places: [[UInt8]: Int] = [:]
        var spanning: [(place: Int, format: any ModelFormat.Type)] = []
        var single: [(place: Int, format: any ModelFormat.Type)] = []
        var failures: [(place: Int, error: ModelFileError)] = []
        for (place, source) in files.enumerated() {
            // By bytes: file systems tell names apart that are the same text to Swift.
            places[Array(source.name.utf8)] = place
            if let format = ModelFiles.formats.first(where: { $0.recognizes(source.file) }) {
                if format.spansFiles { spanning.append((place, format)) } else { single.append((place, format)) }
            } else if let refusal = ForeignContent.refusal(of: source.file), case .unsupported = refusal {
                failures.append((place, refusal))
            }
        }
        var members: [Member] = []
        var claimed: Set<Int> = []
        for (place, format) in spanning + single where !claimed.contains(place) {
            do {
                let member = try member(at: place, format, of: files, places)
                claimed.formUnion(member.places)
                members.append(member)
            } catch {
                switch error {
                // A checkpoint of other things than tensors, or another kind of ZIP, is no model that fails.
                case .noTensors, .notAModel: continue
                default: failures.append((place, error))
                }
            }
        }
        members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let unclaimed = failures.filter { !claimed.contains($0.place) }.sorted { $0.place < $1.place }
        return (members, unclaimed.map { (files[$0.place].name, $0.error) })
    }

    /// Opens a model file and finds the files that it refers to.
    private static func member(
        at place: Int, _ format: any ModelFormat.Type, of files: [ModelFile.Source], _ places: [[UInt8]: Int]
    ) throws(ModelFileError) -> Member {
        let name = files[place].name
        let folder = name.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(name[...$0]) } ?? ""
        let model = try ModelFiles.open(files[place].file, as: format)
        var own: [Int] = []
        for source in model.files {
            guard let place = places[Array((folder + source.name).utf8)] else {
                throw .unreadable(path: source.file.path, reason: "expected among the folder's files, found left out")
            }
            own.append(place)
        }
        return Member(name: name, model: model, places: own)
    }
}
