import Foundation
import ModelFiles
import Synchronization
import TestSupport
import Testing

@testable import WeightArchive

/// Files that are written to while they are read: an error that names the file, and no output.
struct ChangeTests {
    /// What happens to a file.
    enum Change: String, CaseIterable, CustomTestStringConvertible {
        case rewritten, truncated, emptied, longer, replaced, removed

        var testDescription: String { rawValue }

        func make(_ path: String) {
            switch self {
            case .rewritten, .truncated, .emptied, .longer:
                guard let file = FileHandle(forUpdatingAtPath: path), let size = try? file.seekToEnd() else { return }
                switch self {
                case .rewritten:
                    try? file.seek(toOffset: size / 2)
                    file.write(Data([1, 2, 3, 4]))
                case .truncated: try? file.truncate(atOffset: size / 2)
                case .emptied: try? file.truncate(atOffset: 0)
                default: file.write(Data([0]))
                }
                try? file.close()
            case .replaced:
                try? Data([UInt8](repeating: 7, count: 100)).write(to: URL(filePath: path), options: .atomic)
            case .removed: unlink(path)
            }
        }
    }

    /// A model of some layers, more than a page of the system's each.
    private static let model = Safetensors(
        (0..<6).map { .weights("w\($0)", [96, 128], seed: UInt64($0)) } + [.weights("bias", [8000], seed: 9)])

    /// Does something when progress is reported first.
    private func once(_ work: @escaping @Sendable () -> Void) -> ProgressHandler {
        let isDone = Atomic(false)
        return { _ in
            if !isDone.exchange(true, ordering: .relaxed) { work() }
        }
    }

    private func expectNoticed(_ path: String, _ folder: TemporaryFolder, _ work: () async throws -> Void) async {
        let before = folder.contents
        let error = await expectedError(work)
        #expect(error?.hasPrefix("\(path): changed while it was read: expected ") == true, "\(error ?? "no error")")
        #expect(error?.contains("\n") == false)
        let removed =
            FileManager.default.fileExists(atPath: path) ? [] : [String(path.dropFirst(folder.path.count + 1))]
        #expect(folder.contents == before.filter { !removed.contains($0) })
    }

    /// Packs a model, and changes a file when the first layer is about to be packed.
    private func pack(
        _ model: String, to path: String, _ change: Change, _ file: String, _ options: PackOptions = PackOptions()
    ) async throws {
        _ = try await Packer(try ModelFiles.open(model), options).pack(to: path, progress: once { change.make(file) })
    }

    @Test(arguments: Change.allCases)
    func aModelThatChangesWhileItIsPackedIsNoticed(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        await expectNoticed(model, folder) { try await pack(model, to: folder["m.wcz"], change, model) }
    }

    @Test(arguments: Change.allCases)
    func soIsOneThatIsPackedWithoutLossOrToAGoal(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        var options = PackOptions()
        options.quantizer = .exact
        await expectNoticed(model, folder) { try await pack(model, to: folder["m.wcz"], change, model, options) }
    }

    @Test(arguments: [Change.rewritten, .truncated])
    func everyFileOfAModelCounts(change: Change) async throws {
        let names = [
            "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        ]
        for name in names {
            let folder = try TemporaryFolder()
            for name in names { try folder.write(try fileBytes(modelFixture("sharded/\(name)")), name) }
            var options = PackOptions()
            options.include = [""]
            await expectNoticed(folder[name], folder) {
                try await pack(folder[names[0]], to: folder["m.wcz"], change, folder[name], options)
            }
        }
    }

    @Test(arguments: [Change.rewritten, .truncated])
    func aFileThatStandsBesideTheModelCounts(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.makeFolder("model")
        try folder.write(Self.model.bytes, "model/m.safetensors")
        let text = try folder.write(Array("{\"a\": 1}".utf8), "model/config.json")
        await expectNoticed(text, folder) { try await pack(model, to: folder["m.wcz"], change, text) }
    }

    @Test(arguments: Change.allCases)
    func theBaseCounts(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        let base = try folder.write(Self.model.bytes, "base.safetensors")
        var options = PackOptions()
        options.quantizer = .exact
        options.base = try ModelFiles.open(base)
        await expectNoticed(base, folder) { try await pack(model, to: folder["m.wcz"], change, base, options) }
    }

    @Test(arguments: Change.allCases)
    func theFileBehindAPlainFormCounts(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(try fileBytes(modelFixture("arrays_compressed.npz")), "m.npz")
        var options = PackOptions()
        options.include = [""]
        await expectNoticed(model, folder) { try await pack(model, to: folder["m.wcz"], change, model, options) }
    }

    @Test(arguments: Change.allCases, [false, true])
    func aPackedFileThatChangesWhileItIsUnpackedIsNoticed(change: Change, checks: Bool) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        try await WeightArchiveTests.pack(model, to: folder["m.wcz"])
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        await expectNoticed(folder["m.wcz"], folder) {
            let handler = once { change.make(folder["m.wcz"]) }
            if checks {
                _ = try await unpacker.check(threads: 1, progress: handler)
            } else {
                try await unpacker.unpack(to: folder["restored"], threads: 1, force: false, progress: handler)
            }
        }
    }

    @Test(arguments: Change.allCases)
    func picturesOfAModelThatChangesAreNotWritten(change: Change) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        await expectNoticed(model, folder) {
            let file = try ModelFiles.open(model)
            _ = try await Gallery.write(
                of: file, PackOptions(), to: folder["pictures"], threads: 1, force: false,
                progress: once { change.make(model) })
        }
    }

    @Test func aModelThatStaysIsNoMatter() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "m.safetensors")
        let file = try ModelFiles.open(model)
        // Reading changes when it was read last, which is no change.
        _ = try fileBytes(model)
        _ = try await Packer(file, PackOptions()).pack(to: folder["m.wcz"])
        #expect(folder.contents == ["m.safetensors", "m.wcz"])
    }
}
