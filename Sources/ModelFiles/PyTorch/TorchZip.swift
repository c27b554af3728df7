/// A PyTorch checkpoint as `torch.save` writes it since 1.6, or a module as `torch.jit.save` does: a ZIP with pickles and an
/// entry for each storage.
enum TorchZip: ModelFormat {
    static let name = ModelFormatName.pytorch

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes(ZipDirectory.isPresent) }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            let archive = try TorchArchive(bytes, path: file.path)
            let data = try archive.tensors(of: "data")
            var tensors = data.records
            var storages = data.storages
            var notes = data.notes
            let isScript = archive.entries["constants.pkl"] != nil
            if isScript {
                let constants = try archive.tensors(of: "constants")
                // As the archive's code refers to them.
                func renamed(_ constant: TensorRecord) -> TensorRecord {
                    var constant = constant
                    constant.name = "CONSTANTS.c\(constant.name)"
                    return constant
                }
                tensors += constants.records.map(renamed)
                storages += constants.storages.map(renamed)
                notes += constants.notes
            }
            guard !tensors.isEmpty else { throw .noTensors(path: file.path) }
            return ModelFile(
                format: isScript ? .torchScript : name, path: file.path,
                files: [.init(name: fileName(file.path), file: file)], tensors: tensors,
                storages: storages, checksums: archive.checksums(over: tensors), notes: notes)
        }
    }
}
