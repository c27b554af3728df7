import Foundation

/// The Python whose packages restored models are read with; `./test` installs them.
public enum Python {
    private static let interpreter = ProcessInfo.processInfo.environment["WCODEC_PYTHON"] ?? "python3"

    /// Whether it has these packages.
    public static func has(_ modules: String) -> Bool { (try? run(["-c", "import \(modules)"]))?.status == 0 }

    /// Runs Python and waits for it.
    ///
    /// - Returns: its exit status, and what it printed on either output.
    public static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        // -B: leaves no __pycache__ beside scripts.
        process.arguments = [interpreter, "-B"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
