import Foundation
import TestSupport
import Testing

/// Whether this machine lets a program's system calls be listed.
private let canTrace: Bool = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "strace -o /dev/null true 2>/dev/null"]
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
}()

/// What the disk has before a file gets its name: told by the system calls that strace lists.
@Suite(.enabled(if: canTrace, "strace is missing or not allowed"))
struct DurabilityTests {
    /// The calls that a command makes of those that give names, take them away, or wait for the disk.
    private func calls(_ command: String, in folder: TemporaryFolder) async throws -> [String] {
        let trace = try TemporaryFolder()
        let calls = "fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat"
        let result = try await shell(
            "strace -f -y -s 4096 -e trace=\(calls) -o \(trace["calls"]) \(command)", in: folder)
        #expect(result.status == 0, "\(result.error)")
        return String(decoding: try fileBytes(trace["calls"]), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Where the first call is that has all of some words; the number of calls when there is none.
    private func place(_ calls: [String], _ words: String...) -> Int {
        calls.firstIndex { call in words.allSatisfy(call.contains) } ?? calls.count
    }

    @Test(arguments: ["", "--force"])
    func aFileIsOnTheDiskBeforeItHasItsName(force: String) async throws {
        let folder = try await sampleFolder(packed: !force.isEmpty)
        let calls = try await calls("$wcodec pack model.safetensors \(force)", in: folder)
        let file = place(calls, "fsync", "/.wcodec-")
        let name = place(calls, force.isEmpty ? "link" : "rename", "\"./.wcodec-", "model.wcz\"")
        let names = place(calls, "fsync", "<\(folder.path)>")
        let removal = place(calls, "unlink", "model.wcz.partial")
        #expect(file < name && name < names && names < removal && removal < calls.count, "\(calls)")
    }

    @Test func everyFileOfAFolderIsOnTheDiskBeforeThatHasItsName() async throws {
        let folder = try TemporaryFolder()
        for name in ["model/a.safetensors", "model/sub/b.txt"] {
            _ = try folder.makeFolder("model/sub")
            try folder.write(name.hasSuffix("txt") ? [1] : sample.bytes, name)
        }
        _ = try await wcodec("pack", "model", "-o", "m.wcz", in: folder)
        let calls = try await calls("$wcodec unpack m.wcz -o restored", in: folder)
        let name = place(calls, "rename", "restored")
        for part in ["/a.safetensors>", "/sub/b.txt>", "/sub>", ".partial>"] {
            #expect(place(calls, "fsync", "/.wcodec-", part) < name, "\(part) in \(calls)")
        }
        #expect(name < place(calls, "fsync", "<\(folder.path)>"))
        #expect(place(calls, "fsync", "<\(folder.path)>") < calls.count)
    }

    @Test func whatAStoppedPackKeepsIsOnTheDisk() async throws {
        let folder = try TemporaryFolder()
        let model = Safetensors((0..<8).map { .weights("w\($0)", [160, 160], seed: UInt64($0)) })
        try folder.write(model.bytes, "model.safetensors")
        let trace = try TemporaryFolder()
        let result = try await shell(
            """
            trap '' XFSZ; ulimit -f 160; strace -f -y -e trace=fsync -o '|cat >\(trace["calls"])' \
            $wcodec pack model.safetensors
            """, in: folder)
        #expect(result.status == 73 && result.error.contains("goes on from"), "\(result.error)")
        let calls = String(decoding: try fileBytes(trace["calls"]), as: UTF8.self)
        #expect(calls.contains("model.wcz.partial>"), "\(calls)")
    }
}
