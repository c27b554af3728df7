import Foundation
import TestSupport

/// What a run of the program gave.
struct ProgramResult: Sendable {
    let status: Int32
    let output: String
    let error: String

    /// The lines on standard error.
    var errorLines: [Substring] { error.split(separator: "\n") }
    /// The output as JSON; `nil` when it is none.
    var json: Any? { try? JSONSerialization.jsonObject(with: Data(output.utf8), options: .fragmentsAllowed) }
}

/// Runs the built program in a folder, its outputs going to files and its input empty.
func wcodec(_ arguments: String..., in folder: TemporaryFolder, environment: [String: String] = [:]) async throws
    -> ProgramResult
{
    try await run("\(productsFolder)/wcodec", arguments, in: folder, environment)
}

/// Runs a shell command in a folder; `$wcodec` is the program.
func shell(_ command: String, in folder: TemporaryFolder) async throws -> ProgramResult {
    try await run("/bin/sh", ["-c", command], in: folder, ["wcodec": "\(productsFolder)/wcodec"])
}

private func run(
    _ program: String, _ arguments: [String], in folder: TemporaryFolder, _ environment: [String: String]
) async throws -> ProgramResult {
    // Outside the folder, whose contents tests look at.
    let captured = try TemporaryFolder()
    try captured.write([], "output")
    try captured.write([], "error")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: captured["output"])
    process.standardError = FileHandle(forWritingAtPath: captured["error"])
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        process.terminationHandler = { _ in continuation.resume() }
        do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    return ProgramResult(
        status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
        output: String(decoding: try fileBytes(captured["output"]), as: UTF8.self),
        error: String(decoding: try fileBytes(captured["error"]), as: UTF8.self))
}

/// A small model of two layers and a bias.
let sample = Safetensors([
    .weights("first.weight", [48, 40], seed: 1), .weights("first.bias", [48], seed: 2),
    .weights("second.weight", [40, 48], seed: 3),
])

/// A folder that holds `model.safetensors`, and `model.wcz` when it is to be packed.
func sampleFolder(packed: Bool = false) async throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(sample.bytes, "model.safetensors")
    if packed { _ = try await wcodec("pack", "model.safetensors", "-q", in: folder) }
    return folder
}
