import Foundation
import Testing

/// The Python that runs `docs/decode.py`.
enum Python {
    /// The repository's `docs` folder.
    static let docs = repository.appending(path: "docs")
    /// The root of the repository.
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static let interpreter = ProcessInfo.processInfo.environment["WCODEC_PYTHON"] ?? "python3"

    /// Whether it has all that the decoder needs; `./test` installs it.
    static let hasModules: Bool = {
        (try? run(["-c", "import numpy, PIL, av, soundfile, xxhash, h5py"]))?.status == 0
    }()

    /// Runs Python and waits for it.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        // -B: leaves no __pycache__ in docs.
        process.arguments = [interpreter, "-B"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    /// Restores packed files with one run of `docs/decode.py`.
    ///
    /// - Returns: what went wrong with each, in order; `nil` for nothing.
    static func decode(_ files: [(packed: String, output: String)]) throws -> [String?] {
        let script = """
            import sys
            sys.path.insert(0, sys.argv[1])
            import decode
            for packed, output in zip(sys.argv[2::2], sys.argv[3::2]):
                try:
                    decode.main(packed, output)
                    print("done")
                except Exception as error:
                    print(repr(error).replace("\\n", " "))
            """
        let result = try run(["-c", script, docs.path] + files.flatMap { [$0.packed, $0.output] })
        let lines = result.output.split(separator: "\n")
        try #require(lines.count == files.count, "\(result.output)")
        return lines.map { $0 == "done" ? nil : String($0) }
    }
}
