import Codecs
import FoundationEssentials
import ModelFiles
import WeightMapper

/// A packed file that was opened: whole, and its manifest sound.
public struct PackedModel: Sendable {
    /// The path it was opened by.
    public let path: String
    let reader: ArchiveReader
    let valid: ValidManifest
    /// Quantizer parameters of all tensors.
    let parameters: [UInt8]

    /// Opens a packed file, and checks the hash over all of it and every number in its manifest.
    ///
    /// - Throws: `ArchiveError`.
    public init(_ path: String) throws {
        self.path = path
        reader = try ArchiveReader(path)
        let json = try reader.read(EntryName.manifest)
        struct Version: Decodable {
            let format: String
            let version: Int
        }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(json)), version.format == "wcodec" else {
            throw ArchiveError.notAnArchive(path: path, found: "a ZIP with another kind of \(EntryName.manifest)")
        }
        guard Manifest.versions.contains(version.version) else {
            let known = "versions \(Manifest.versions.lowerBound) to \(Manifest.versions.upperBound)"
            throw ArchiveError.notAnArchive(
                path: path, found: "version \(version.version) (this program reads \(known))")
        }
        let manifest: Manifest
        do {
            manifest = try decoder.decode(Manifest.self, from: Data(json))
        } catch {
            throw ArchiveError.damaged(
                path: path, part: EntryName.manifest, expected: "every field of the format", found: "\(error)")
        }
        valid = try ValidManifest(manifest, reader)
        if let blob = manifest.parameters {
            let stream = try reader.read(EntryName.parameters)
            try stream.withUnsafeBytes { try expect(blob.hash, Hasher128.hash($0), EntryName.parameters, path) }
            // Deflate does not get 8192 gray pixels into less than a byte.
            let (pixels, overflow) = blob.width.multipliedReportingOverflow(by: blob.height)
            guard blob.width > 0, blob.height > 0, !overflow, pixels / 8192 <= stream.count else {
                throw ArchiveError.damaged(
                    path: path, part: EntryName.parameters, expected: "an image of its size",
                    found: "\(stream.count) bytes")
            }
            parameters = try ParameterImage.read(stream, blob)
        } else {
            parameters = []
        }
    }

    /// Whether a file is a packed one, whole or damaged: a ZIP whose first entry is the manifest.
    ///
    /// - Throws: `ArchiveError.io` when it cannot be read.
    public static func recognizes(_ path: String) throws(ArchiveError) -> Bool {
        try ArchiveReader.recognizes(path)
    }

    /// Contents and costs, layer by layer.
    public var summary: ArchiveSummary { ArchiveSummary(valid.manifest, packedBytes: reader.size) }

    /// Names of the model's files, the one it was opened by first; one in a subfolder is a path with `/`.
    public var fileNames: [String] { valid.manifest.source.files.map(\.name) }

    /// Whether the model is restored as a folder of files rather than as one file.
    public var isFolder: Bool { valid.manifest.source.isFolder }

    /// The path by which the restored model is opened.
    ///
    /// - Parameter restored: the file or folder that it was restored to.
    public func modelPath(in restored: String) -> String {
        let isWhole = !isFolder || valid.manifest.source.directory == true
        return isWhole ? restored : "\(restored)/\(fileNames[0])"
    }

    /// The codebook of a packed layer.
    func codebook(_ layer: PlacedLayer) throws -> any Codebook {
        let tensor = valid.manifest.tensors[layer.tensor]
        let quantizer = valid.manifest.quantizer
        guard let packed = tensor.packed, let scope = RangeScope(rawValue: quantizer.range),
            let reconstruction = Reconstruction(rawValue: quantizer.reconstruct), packed.parameters[0] >= 0,
            packed.parameters[1] >= 0, packed.parameters[0] <= parameters.count,
            packed.parameters[1] <= parameters.count - packed.parameters[0]
        else {
            throw ArchiveError.layer(
                tensor: layer.name,
                reason: "\(path): expected parameters within \(parameters.count) bytes, found others")
        }
        let bytes = parameters.span.extracting(droppingFirst: packed.parameters[0]).extracting(
            first: packed.parameters[1])
        do {
            return try UniformCodebook(
                bits: layer.bits, encoding: packed.ranges, bytes, scope: scope, reconstruction: reconstruction,
                geometry: layer.geometry)
        } catch {
            throw ArchiveError.layer(tensor: layer.name, reason: "\(path): \(error)")
        }
    }

    /// Streams of a group, each checked against its hash as it is read.
    func stream(_ group: Int, _ index: Int) throws -> [UInt8] {
        let before = valid.groups[..<group].reduce(0) { $0 + $1.framesOfStreams.count }
        let stream = valid.manifest.streams[before + index]
        let bytes = try reader.read(stream.entry)
        try bytes.withUnsafeBytes { try expect(stream.hash, Hasher128.hash($0), stream.entry, path) }
        return bytes
    }
}

/// Compares a hash.
func expect(_ expected: String, _ found: String, _ part: String, _ path: String) throws(ArchiveError) {
    guard expected == found else {
        throw .damaged(path: path, part: part, expected: "hash \(expected)", found: found)
    }
}
