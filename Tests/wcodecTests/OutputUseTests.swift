import Foundation
import TestSupport
import Testing

/// What may stand where a command is to write.
struct OutputUseTests {
    /// Every command that writes a file, but for its name.
    private static let writing = [
        "pack model.safetensors -o", "unpack model.wcz -o", "unpack model.wcz --to npz -o",
        "unpack model.wcz --to safetensors -o", "report model.wcz -o", "report model.wcz --json -o",
        "report model.wcz --csv -o", "report model.wcz --html -o", "inspect model.wcz --image first.weight -o",
        "inspect model.safetensors --image first.weight -o", "inspect model.wcz --gallery -o",
        "inspect model.safetensors --gallery -o", "graph model.safetensors --svg", "graph model.safetensors --dot",
        "run model.onnx --input x.npy -o", "tune model.onnx --data x.npz -o",
    ]

    /// Makes what is no file, by a shell command, with a test that it still is one.
    private static let others = [
        ("mkfifo out", "test -p out"), ("mkfifo pipe; ln -s pipe out", "test -L out && test -p pipe"),
        ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out\")'", "test -S out"),
        ("ln -s nowhere out", "test -L out && test ! -e nowhere"),
    ]

    @Test(arguments: writing, others)
    func onlyFilesAreReplaced(command: String, other: (making: String, test: String)) async throws {
        let folder = try await sampleFolder(packed: true)
        _ = try await shell(other.making, in: folder)
        let before = folder.contents
        for force in ["", "--force"] {
            let result = try await shell("$wcodec \(command) out \(force)", in: folder)
            #expect(result.status == 73 && result.errorLines.count == 1, "\(result.error)")
            #expect(result.error.contains("wcodec: out: "), "\(result.error)")
            #expect(try await shell(other.test, in: folder).status == 0)
            #expect(folder.contents == before)
        }
    }

    @Test func aDeviceIsNotReplaced() async throws {
        let folder = try await sampleFolder(packed: true)
        // Of those that nobody but root makes.
        guard try await shell("mknod out c 1 3", in: folder).status == 0 else { return }
        let result = try await shell("$wcodec pack model.safetensors -o out --force", in: folder)
        #expect(result.status == 73 && result.error.contains("device"))
        #expect(try await shell("test -c out", in: folder).status == 0)
    }

    @Test(arguments: [
        "pack model.safetensors -o", "unpack model.wcz -o", "unpack model.wcz --to npz -o", "report model.wcz -o",
    ])
    func aLinkToAFileStaysALink(command: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let made = try await shell(
            "mkdir sub other; echo old >sub/old; ln -s ../sub/old other/link; ln -s other/link out", in: folder)
        #expect(made.status == 0)
        #expect(try await shell("$wcodec \(command) out", in: folder).status == 73)
        #expect(try fileBytes(folder["sub/old"]) == Array("old\n".utf8))
        let result = try await shell("$wcodec \(command) out --force && $wcodec \(command) direct", in: folder)
        #expect(result.status == 0, "\(result.error)")
        #expect(try await shell("test -L out && test -L other/link && cmp sub/old direct", in: folder).status == 0)
        #expect(folder.contents.count == 8)
    }

    @Test func inAFolderLinksAreReplacedAndNothingOutside() async throws {
        let folder = try TemporaryFolder()
        let index = modelFixture("sharded/model.safetensors.index.json")
        _ = try await wcodec("pack", index, "-o", "m.wcz", "--include", "", in: folder)
        _ = try await shell(
            "mkdir out; echo mine >outside; ln -s ../outside out/model.safetensors.index.json", in: folder)
        let result = try await wcodec("unpack", "m.wcz", "-o", "out", "--force", in: folder)
        #expect(result.status == 0, "\(result.error)")
        #expect(try fileBytes(folder["outside"]) == Array("mine\n".utf8))
        #expect(try fileBytes(folder["out/model.safetensors.index.json"]) == fileBytes(index))
        // All or nothing: a pipe is found before anything is replaced.
        _ = try await shell("rm -r out; mkdir out; mkfifo out/model-00002-of-00002.safetensors", in: folder)
        let refused = try await wcodec("unpack", "m.wcz", "-o", "out", "--force", in: folder)
        #expect(refused.status == 73 && refused.error.contains("out/model-00002-of-00002.safetensors"))
        #expect(try await shell("test -p out/*", in: folder).status == 0)
    }

    @Test func permissionsOfFilesDoNotShowInAPackedFile() async throws {
        let folder = try await sampleFolder()
        // Where there is a link of its name, what waits to be packed lies in a file without one.
        let result = try await shell(
            """
            ln -s nowhere c.wcz.partial; ln -s nowhere d.wcz.partial
            for run in 'a.wcz 022' 'b.wcz 077' 'c.wcz 022' 'd.wcz 0277'; do
                set -- $run
                (umask $2; $wcodec pack model.safetensors -q -o $1 2>/dev/null) || exit
            done
            cmp a.wcz b.wcz && cmp a.wcz c.wcz && cmp a.wcz d.wcz && chmod u+w d.wcz
            """, in: folder)
        #expect(result.status == 0, "\(result.output)\(result.error)")
        // In the directory each entry is a file that its owner may write to and all may read, as UNIX has it.
        let bytes = try fileBytes(folder["a.wcz"])
        let entries = bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4b, 1, 2]) }
        #expect(entries.count == StoredZip(bytes)?.entries.count)
        for entry in entries {
            #expect(bytes[entry + 5] == 3 && Array(bytes[entry + 38..<entry + 42]) == [0, 0, 0xa4, 0x81])
        }
    }
}
