import Foundation
import TestSupport
import Testing

/// What `docs/decode.py` needs and does.
extension Python {
    /// The repository's `docs` folder.
    static let docs = repository.appending(path: "docs")
    /// The root of the repository.
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Whether it has all that the decoder needs; `./test` installs it.
    static let hasModules = has("numpy, PIL, av, soundfile, xxhash, h5py, imagecodecs")

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
