import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// What `docs/format.md` promises about the bytes that the packer writes, checked without the library's own reader.
@Suite struct RuleTests {
    /// Packs the example model, all of it or as by default.
    private func pack(
        _ medium: Medium, _ folder: TemporaryFolder, bits: Int? = nil, codec: String? = nil, packsAll: Bool = true
    ) async throws -> PackedFile {
        try ExampleModel.write(to: folder["example.safetensors"])
        var options = PackOptions()
        options.medium = medium
        options.bits = bits
        options.codec = codec
        options.include = packsAll ? ["."] : []
        _ = try await Packer(try ModelFiles.open(folder["example.safetensors"]), options).pack(
            to: folder["example.wcz"])
        return try PackedFile(folder["example.wcz"])
    }

    @Test(arguments: Medium.allCases) func theContainerIsAPlainZip(_ medium: Medium) async throws {
        let file = try await pack(medium, TemporaryFolder())
        var position = 0
        for entry in file.entries {
            let mayBeDeflated =
                ["manifest.json", "exact.safetensors"].contains(entry.name) || entry.name.hasPrefix("skeleton/")
            #expect(entry.method == 0 || entry.method == 8 && mayBeDeflated, "\(entry.name)")
            #expect(entry.flags & ~0x802 == 0, "\(entry.name)")
            #expect(entry.time == 0 && entry.date == 0x21, "\(entry.name)")
            #expect(entry.offset == position, "\(entry.name)")
            position = entry.end
        }
        let comment = String(decoding: file.data.suffix(50), as: UTF8.self)
        #expect(comment == "wcodec 1 xxh3-128 " + file.data.dropLast(32).xxh3)
    }

    @Test(arguments: Medium.allCases, [true, false])
    func entriesAreThoseOfTheManifestInOrder(_ medium: Medium, packsAll: Bool) async throws {
        let file = try await pack(medium, TemporaryFolder(), packsAll: packsAll)
        let manifest = file.manifest
        let isTransposed = manifest.tensors.contains { $0.packed?.transposed == true }
        #expect(!isTransposed || medium == .image)
        #expect((manifest.kept != nil) == !packsAll)
        #expect(manifest.version == (isTransposed || manifest.kept != nil ? 4 : 1))
        #expect(manifest.format == "wcodec" && manifest.medium == medium.rawValue)
        #expect(manifest.source.format == "safetensors")
        #expect(
            file.entries.map(\.name) == ["manifest.json"] + manifest.streams.map(\.entry) + ["parameters.png"]
                + (packsAll ? [] : ["kept.png"]) + ["exact.safetensors"]
                + manifest.source.files.map { "skeleton/\($0.name)" })
        #expect(Set(file.entries.map { $0.name.lowercased() }).count == file.entries.count)
        for stream in manifest.streams {
            #expect(stream.entry.hasPrefix("\(medium.rawValue)/"))
            #expect(stream.entry.utf8.allSatisfy { $0 > 32 && $0 < 127 && !#""*:<>?\|"#.utf8.contains($0) })
            #expect(file[stream.entry]?.xxh3 == stream.hash, "\(stream.entry)")
        }
        #expect(file["parameters.png"]?.xxh3 == manifest.parameters?.hash)
        #expect(file["parameters.png"]?.count == manifest.parameters?.stored)
        #expect(file["kept.png"]?.xxh3 == manifest.kept?.hash && file["kept.png"]?.count == manifest.kept?.stored)
        #expect(file["exact.safetensors"]?.xxh3 == manifest.exact)
        for source in manifest.source.files { #expect(file["skeleton/\(source.name)"]?.xxh3 == source.skeleton) }
    }

    @Test func everyByteOfTheModelIsStoredOnce() async throws {
        let file = try await pack(.image, TemporaryFolder(), packsAll: false)
        let sizes = ["F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2]
        var position = 0
        var removed = 0
        var (exact, picture) = (0, 0)
        for tensor in file.manifest.tensors {
            #expect((tensor.kept == nil) != (tensor.packed == nil), "\(tensor.name)")
            guard tensor.inSkeleton != true else { continue }
            let size = tensor.shape.reduce(1, *) * (sizes[tensor.dtype] ?? 0)
            #expect(tensor.at[0] == 0 && tensor.at[1] >= position && size > 0, "\(tensor.name)")
            position = tensor.at[1] + size
            removed += size
            if tensor.inPicture == true { picture += size + 1 }
            exact += tensor.kept == nil || tensor.inPicture == true ? 0 : size
        }
        let source = file.manifest.source.files[0]
        #expect(position <= source.size)
        #expect(file["skeleton/\(source.name)"]?.count == source.size - removed)
        #expect(file.manifest.kept?.bytes == picture)
        let kept = try #require(file["exact.safetensors"])
        let header = kept.number(kept.startIndex, 8)
        #expect(kept.count == 8 + header + exact && header % 8 == 0)
        // It is a safetensors file of its own, in the order of the manifest.
        struct Entry: Decodable { let dtype: String, shape, data_offsets: [Int] }
        let entries = try JSONDecoder().decode(
            [String: Entry].self, from: kept.dropFirst(8).prefix(header))
        var offset = 0
        for tensor in file.manifest.tensors
        where tensor.kept != nil && tensor.inSkeleton != true && tensor.inPicture != true {
            let entry = try #require(entries[tensor.name])
            #expect(entry.dtype == tensor.dtype && entry.shape == tensor.shape && entry.data_offsets[0] == offset)
            offset = entry.data_offsets[1]
        }
        #expect(offset == exact)
    }

    @Test(arguments: Medium.allCases, [3, 12]) func framesOfStreamsAreFilledOnce(_ medium: Medium, bits: Int)
        async throws
    {
        let manifest = try await pack(medium, TemporaryFolder(), bits: bits).manifest
        var filled = manifest.streams.map { _ in 0 }
        var parameters = 0
        let packed = manifest.tensors.compactMap(\.packed)
        for tensor in packed.sorted(by: { ($0.stream, $0.frame) < ($1.stream, $1.frame) }) {
            #expect((tensor.block?.count == 4) == (medium == .video))
            #expect(tensor.bits == bits && manifest.streams[tensor.stream].bits == bits)
            #expect(filled[tensor.stream] == tensor.frame)
            if medium == .image {
                for stream in tensor.stream..<tensor.stream + tensor.frames { filled[stream] += 1 }
            } else {
                filled[tensor.stream] += tensor.frames
            }
            if let block = tensor.block {
                let stream = manifest.streams[tensor.stream]
                #expect(stream.width == block[0] * block[2] && stream.height == block[1] * block[3])
            }
            parameters += tensor.parameters[1]
        }
        #expect(filled == manifest.streams.map(\.frames))
        #expect(parameters == manifest.parameters?.bytes)
        #expect(manifest.parameters?.width == min(parameters, 1024))
        #expect(manifest.parameters?.height == (parameters + 1023) / 1024)
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16)])
    func imagesHaveTheSmallestDepth(bits: Int, depth: Int) async throws {
        let file = try await pack(.image, TemporaryFolder(), bits: bits)
        for stream in file.manifest.streams {
            let png = try #require(file[stream.entry])
            let at = png.startIndex
            #expect(png.prefix(8) == Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]))
            // IHDR: depth, color type gray, no interlacing.
            #expect(Int(png[at + 24]) == depth && png[at + 25] == 0 && png[at + 28] == 0)
            let sBIT = png.range(of: Data("sBIT".utf8))
            #expect((sBIT != nil) == (bits != depth))
            if let sBIT { #expect(Int(png[sBIT.upperBound]) == bits) }
        }
    }

    @Test(arguments: [
        (Medium.video, "utvideo", [0x1A, 0x45, 0xDF, 0xA3]), (.video, "ffv1", [0x1A, 0x45, 0xDF, 0xA3]),
        (.audio, "flac", [0x66, 0x4C, 0x61, 0x43]), (.audio, "wav", [0x52, 0x49, 0x46, 0x46]),
    ])
    func streamsAreFilesOfTheirKind(_ medium: Medium, codec: String, magic: [UInt8]) async throws {
        let file = try await pack(medium, TemporaryFolder(), bits: 8, codec: codec)
        #expect(!file.manifest.streams.isEmpty)
        for stream in file.manifest.streams {
            #expect(stream.codec == codec)
            #expect(file[stream.entry]?.prefix(4) == Data(magic))
        }
    }

    /// A field that the specification does not name would be one that a stranger cannot know.
    @Test(arguments: Medium.allCases) func everyFieldOfTheManifestIsDocumented(_ medium: Medium) async throws {
        let text = try String(contentsOf: Python.docs.appending(path: "format.md"), encoding: .utf8)
        let file = try await pack(medium, TemporaryFolder(), packsAll: false)
        for field in fieldNames(try JSONSerialization.jsonObject(with: file.entries[0].data)) {
            #expect(text.contains("`\(field)`"), "\(field)")
        }
        for tensor in file.manifest.tensors {
            if let kept = tensor.kept { #expect(text.contains("`\(kept)`"), "\(kept)") }
            if let ranges = tensor.packed?.ranges { #expect(text.contains("`\(ranges)`"), "\(ranges)") }
        }
    }

    /// Values of fields and codecs that the specification must list.
    @Test func everyNameIsDocumented() throws {
        let text = try String(contentsOf: Python.docs.appending(path: "format.md"), encoding: .utf8)
        let names =
            CodecRegistry.all.map(\.description.name) + ModelFormatName.allCases.map(\.rawValue)
            + Medium.allCases.map(\.rawValue)
        for name in names { #expect(text.contains("`\(name)`"), "\(name)") }
    }

    /// The example that ends the specification is what packing gives, but for what depends on the version of zlib.
    @Test func theExampleIsTrue() async throws {
        let folder = try TemporaryFolder()
        let text = try String(contentsOf: Python.docs.appending(path: "format.md"), encoding: .utf8)
        let header =
            #"{"w": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}, "#
            + #""b": {"dtype": "F32", "shape": [2], "data_offsets": [32, 40]}}"#
        let weights: [Float] = [-1, -0.5, 0, 0.5, 0.25, -0.25, 2, 1, 3, 4]
        let model =
            withUnsafeBytes(of: UInt64(header.utf8.count)) { Data($0) } + Data(header.utf8)
            + weights.withUnsafeBytes { Data($0) }
        try model.write(to: URL(filePath: folder["tiny.safetensors"]))
        var options = PackOptions()
        options.bits = 4
        options.include = ["w"]
        _ = try await Packer(try ModelFiles.open(folder["tiny.safetensors"]), options).pack(to: folder["tiny.wcz"])
        let file = try PackedFile(folder["tiny.wcz"])

        let block = try #require(text.split(separator: "```json").dropFirst().first?.split(separator: "```").first)
        func normalized(_ json: Data) throws -> NSDictionary {
            var object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
            var streams = try #require(object["streams"] as? [[String: Any]])
            var parameters = try #require(object["parameters"] as? [String: Any])
            streams[0]["hash"] = nil
            parameters["hash"] = nil
            object["streams"] = streams
            object["parameters"] = parameters
            return object as NSDictionary
        }
        #expect(try normalized(Data(block.utf8)) == normalized(file.entries[0].data))

        try await Unpacker(PackedModel(folder["tiny.wcz"])).unpack(to: folder["out"], threads: 1, force: false)
        let restored = try Data(contentsOf: URL(filePath: folder["out"]))
        func hex(_ bytes: Data) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        }
        #expect(restored.count == 176 && text.contains("`\(hex(restored[136..<168]))`"))
        #expect(restored[..<136] == model[..<136] && restored[168...] == model[168...])
        #expect(text.contains("data `\(hex(try #require(file["exact.safetensors"]).suffix(8)))`"))
    }
}
