import Codecs
import Foundation
import ModelFiles
import Synchronization
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Packing goes on where it was stopped, and nobody can tell from the packed file.
struct ResumptionTests {
    /// A folder with a model, the packed file of an undisturbed run in memory, and a partial of some of its groups.
    private struct Stopped {
        let folder: TemporaryFolder
        let undisturbed: [UInt8]
        var partial: String { folder["m.wcz.partial"] }

        /// - Parameter groups: finished groups after which packing is stopped.
        init(after groups: Int, of model: Safetensors = everyKind, _ medium: Medium = .image) async throws {
            folder = try TemporaryFolder()
            let path = try folder.write(model.bytes, "m.safetensors")
            try await WeightArchiveTests.pack(path, to: folder["whole.wcz"]) { $0.medium = medium }
            undisturbed = try fileBytes(folder["whole.wcz"])
            try FileManager.default.removeItem(atPath: folder["whole.wcz"])
            let error = await expectedError { try await pack(medium, stoppedAfter: groups) }
            #expect(error?.contains(groups == 0 ? "nothing was written" : "goes on from there") == true)
        }

        /// What a run said and how far it was at each report.
        struct Run {
            var notes: [String] = []
            var progress: [WeightArchive.Progress] = []
        }

        @discardableResult
        func pack(
            _ medium: Medium = .image, stoppedAfter limit: Int = .max,
            changing change: (inout PackOptions) -> Void = { _ in }
        ) async throws -> Run {
            var options = PackOptions()
            options.medium = medium
            change(&options)
            let packer = try Packer(try ModelFiles.open(folder["m.safetensors"]), options)
            let path = folder["m.wcz"]
            let run = Mutex(Run())
            let task = Task {
                try await packer.pack(to: path) { progress in
                    let finished = run.withLock {
                        $0.progress.append(progress)
                        return $0.progress.count(where: { $0.done > $0.resumed })
                    }
                    if finished >= limit { withUnsafeCurrentTask { $0?.cancel() } }
                } note: { note in
                    run.withLock { $0.notes.append(note) }
                }
            }
            _ = try await task.value
            return run.withLock { $0 }
        }

        /// Packs to the end; the packed file must be the undisturbed one, and nothing else be left.
        func finish(_ medium: Medium = .image, keeping others: [String] = []) async throws -> Run {
            let run = try await pack(medium)
            #expect(try fileBytes(folder["m.wcz"]) == undisturbed)
            #expect(folder.contents == (["m.safetensors", "m.wcz"] + others).sorted())
            try FileManager.default.removeItem(atPath: folder["m.wcz"])
            return run
        }

        func writePartial(_ bytes: [UInt8], mode: Int = 0o600) throws {
            try folder.write(bytes, "m.wcz.partial")
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: partial)
        }
    }

    @Test(arguments: Medium.allCases, [1, 2, 5, 7])
    func goesOnWhereItWasStopped(medium: Medium, groups: Int) async throws {
        let stopped = try await Stopped(after: groups, medium)
        #expect(stopped.folder.contents == ["m.safetensors", "m.wcz.partial"])
        let run = try await stopped.finish(medium)
        #expect(run.notes.count == 1 && run.notes[0].contains("going on from"))
        // What was packed counts as done, and is not packed again.
        let last = try #require(run.progress.last)
        #expect(last.resumed > 0 && last.done == last.total)
        let own = run.progress.count(where: { $0.done > $0.resumed })
        let all = try await stopped.finish(medium).progress.count(where: { $0.done > $0.resumed })
        #expect(own == all - groups)
    }

    @Test func goesOnAfterBeingStoppedAgainAndAgain() async throws {
        let stopped = try await Stopped(after: 1)
        var previous = 0
        for _ in 0..<4 {
            let error = try #require(await expectedError { try await stopped.pack(stoppedAfter: 1) })
            let percent = try #require(error.split(separator: " ").compactMap { Int($0) }.first)
            #expect(percent > previous)
            previous = percent
        }
        #expect(try await stopped.finish().notes.first?.contains("going on from \(previous) %") == true)
    }

    @Test func aFileThatEndsAnywhereIsGoodUpToThere() async throws {
        let stopped = try await Stopped(after: 2, of: smallModel)
        let partial = try fileBytes(stopped.partial)
        var resumed: Set<Int> = []
        for length in stride(from: 0, to: partial.count, by: 37) {
            try stopped.writePartial(Array(partial[..<length]))
            resumed.insert(try await stopped.finish().progress.last?.resumed ?? 0)
        }
        // Neither layer, or one.
        #expect(resumed == [0, 40 * 32])
    }

    @Test func aDamagedFileIsNotBelieved() async throws {
        let stopped = try await Stopped(after: 2, of: smallModel)
        let partial = try fileBytes(stopped.partial)
        var resumed: Set<Int> = []
        for place in stride(from: Spool.signature.count, to: partial.count, by: 31) {
            var damaged = partial
            damaged[place] ^= 1 << UInt8(place % 8)
            try stopped.writePartial(damaged)
            resumed.insert(try await stopped.finish().progress.last?.resumed ?? 0)
        }
        // Whichever of the layers was not hit.
        #expect(resumed == [0, 40 * 32, 32 * 33])
    }

    @Test func sizesThatNoFileHasAreNotBelieved() async throws {
        let stopped = try await Stopped(after: 1, of: smallModel)
        let partial = try fileBytes(stopped.partial)
        for value: [UInt8] in [
            [UInt8](repeating: 255, count: 8), [255, 255, 255, 255, 255, 255, 255, 127], [0, 0, 0, 0, 0, 0, 0, 128],
            [0, 0, 0, 0, 1, 0, 0, 0], [UInt8](repeating: 0, count: 8),
        ] {
            for place in [16, 24] {
                var damaged = partial
                damaged.replaceSubrange(place..<place + 8, with: value)
                try stopped.writePartial(damaged)
                #expect(try await stopped.finish().progress.last?.resumed == 0)
            }
        }
    }

    @Test func aRecordThatDoesNotDescribeItsGroupIsNotBelieved() async throws {
        let stopped = try await Stopped(after: 2, of: smallModel)
        let forgeries: [@Sendable (inout GroupRecord) -> Void] = [
            { $0.layers = [] }, { $0.layers += $0.layers }, { $0.layers[0].ranges = "others" },
            { $0.layers[0].parameters.removeLast() },
            { $0.layers[0].parameters = Data(repeating: 255, count: $0.layers[0].parameters.count) },
            { $0.layers[0].hash = "\u{e9}" }, { $0.layers[0].crc = .max }, { $0.streams[0].length += 1 },
            { $0.streams[0].length = -1 }, { $0.streams += $0.streams }, { $0.streams = [] }, { $0.originals = "" },
            { $0.identity = "" },
        ]
        let original = try fileBytes(stopped.partial)
        for forge in forgeries {
            try stopped.writePartial(original)
            try rewriteFirstRecord(of: stopped, forge)
            #expect(try await stopped.finish().progress.last?.resumed == 0)
        }
        try stopped.writePartial(original)
        try rewriteFirstRecord(of: stopped) { _ in }
        #expect(try await stopped.finish().progress.last?.resumed == 40 * 32)
    }

    /// Makes a partial of the first group only, with a changed record whose hash is right.
    private func rewriteFirstRecord(of stopped: Stopped, _ change: (inout GroupRecord) -> Void) throws {
        let spool = try Spool(beside: AtomicFile(stopped.folder["m.wcz"], force: false))
        spool.keep()
        let bytes = try fileBytes(stopped.partial)
        var entry = try #require(try PackJournal(spool: spool).entries().first)
        change(&entry.record)
        try spool.clear()
        let streams = entry.streams.map { Array(bytes[$0.offset..<$0.offset + $0.length]) }
        _ = try PackJournal(spool: spool).append(entry.record, streams)
    }

    @Test func changedWeightsArePackedAgain() async throws {
        let stopped = try await Stopped(after: 7)
        var changed = everyKind
        let index = try #require(changed.tensors.firstIndex { $0.name == "rnn.weight_ih_l0" })
        changed.tensors[index].bytes[4001] ^= 1
        let other = try await Stopped(after: 0, of: changed)
        try stopped.folder.write(changed.bytes, "m.safetensors")
        let run = try await stopped.pack()
        #expect(try fileBytes(stopped.folder["m.wcz"]) == other.undisturbed)
        #expect(run.notes.count == 2 && run.notes[1].contains("1 layer is not as packed then"))
        #expect(try #require(run.progress.last).resumed > 0)
    }

    @Test func whatIsOfAnotherJobIsNotUsed() async throws {
        let changes: [@Sendable (inout PackOptions) -> Void] = [
            { $0.bits = 6 }, { $0.range = .layer }, { $0.reconstruction = .mean }, { $0.codec = "png:level=1" },
            { $0.medium = .audio },
        ]
        for change in changes {
            let stopped = try await Stopped(after: 5)
            try await pack(stopped.folder["m.safetensors"], to: stopped.folder["other.wcz"], change)
            let run = try await stopped.pack(changing: change)
            #expect(try fileBytes(stopped.folder["m.wcz"]) == fileBytes(stopped.folder["other.wcz"]))
            #expect(run.notes.count == 1 && run.notes[0].contains("beginning anew"))
            #expect(run.progress.allSatisfy { $0.resumed == 0 })
            #expect(!stopped.folder.contents.contains("m.wcz.partial"))
        }
    }

    @Test func layersThatOtherOptionsDoNotTouchAreUsed() async throws {
        let stopped = try await Stopped(after: 7)
        let change: @Sendable (inout PackOptions) -> Void = { $0.exclude = ["embedding"] }
        try await pack(stopped.folder["m.safetensors"], to: stopped.folder["other.wcz"], change)
        let run = try await stopped.pack(changing: change)
        #expect(try fileBytes(stopped.folder["m.wcz"]) == fileBytes(stopped.folder["other.wcz"]))
        #expect(try #require(run.progress.last).resumed > 0)
    }

    @Test(arguments: ["foreign", "link", "dangling link", "hard link", "folder", "writable"])
    func whatIsNotOursIsNeitherUsedNorTouched(what: String) async throws {
        let stopped = try await Stopped(after: 2, of: smallModel)
        let bytes = what == "foreign" ? Array("a download of mine, half done".utf8) : try fileBytes(stopped.partial)
        let files = FileManager.default
        try files.removeItem(atPath: stopped.partial)
        var others = ["m.wcz.partial"]
        switch what {
        case "foreign": try stopped.writePartial(bytes)
        case "writable": try stopped.writePartial(bytes, mode: 0o666)
        case "folder": _ = try stopped.folder.makeFolder("m.wcz.partial")
        default:
            others.append("target")
            try stopped.folder.write(bytes, "target")
            switch what {
            case "hard link": try files.linkItem(atPath: stopped.folder["target"], toPath: stopped.partial)
            case "link": try files.createSymbolicLink(atPath: stopped.partial, withDestinationPath: "target")
            default:
                try files.removeItem(atPath: stopped.folder["target"])
                others.removeLast()
                try files.createSymbolicLink(atPath: stopped.partial, withDestinationPath: "target")
            }
        }
        let run = try await stopped.finish(keeping: others)
        #expect(run.notes.count == 1 && run.notes[0].contains("begins anew"))
        #expect(run.progress.allSatisfy { $0.resumed == 0 })
        if !["folder", "dangling link"].contains(what) { #expect(try fileBytes(stopped.partial) == bytes) }
    }

    @Test func aPartialIsReadableByItsOwnerOnly() async throws {
        let stopped = try await Stopped(after: 1, of: smallModel)
        try stopped.writePartial([], mode: 0o666)
        #expect(await expectedError { try await stopped.pack(stoppedAfter: 1) } != nil)
        let attributes = try FileManager.default.attributesOfItem(atPath: stopped.partial)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test func twoProcessesDoNotPackToOneOutput() async throws {
        let stopped = try await Stopped(after: 1, of: smallModel)
        let partial = try fileBytes(stopped.partial)
        let file = open(stopped.partial, O_RDWR)
        #expect(flock(file, LOCK_EX) == 0)
        let error = try #require(await expectedError { try await stopped.pack() })
        #expect(error.contains("m.wcz: another process is packing to it"))
        #expect(stopped.folder.contents == ["m.safetensors", "m.wcz.partial"])
        #expect(try fileBytes(stopped.partial) == partial)
        close(file)
        #expect(try await stopped.finish().notes.first?.contains("going on") == true)
    }

    @Test func anErrorOfTheModelKeepsNothing() async throws {
        let stopped = try await Stopped(after: 1, of: smallModel)
        var broken = smallModel
        broken.tensors[0].bytes.replaceSubrange(0..<4, with: [0, 0, 192, 127])
        try stopped.folder.write(broken.bytes, "m.safetensors")
        #expect(await expectedError { try await stopped.pack() }?.contains("nan") == true)
        #expect(stopped.folder.contents == ["m.safetensors"])
    }
}

/// What a killed process left is removed by the next that writes there.
struct LeftoverTests {
    @Test func leftoversOfDeadProcessesAreRemoved() async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/true")
        try process.run()
        process.waitUntilExit()
        let dead = process.processIdentifier
        let folder = try TemporaryFolder()
        let alive = TemporaryName.make()
        let foreign = ".wcodec-000000000000-\(dead)-1.partial"
        let file = TemporaryName.make(process: dead)
        for name in [alive, foreign, file, file + ".aB3xYz", ".wcodec-mine"] { try folder.write([1], name) }
        let left = TemporaryName.make(process: dead)
        _ = try folder.makeFolder("\(left)/sub")
        try folder.write([1], "\(left)/sub/shard")
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"])
        #expect(folder.contents == [".wcodec-mine", alive, foreign, "m.safetensors", "m.wcz"].sorted())
        try folder.write([1], file)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(!folder.contents.contains(file))
    }
}
