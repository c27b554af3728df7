import ArgumentParser
import Codecs
import Evaluation
import Execution
// Its `stdout` is a variable, which nothing here assigns.
@preconcurrency import Glibc
import ModelFiles
import ModelGraph
import WeightArchive

/// Exit statuses beside 0 and ArgumentParser's 64 for wrong usage, as the README lists them.
///
/// Those above 64 are those of sysexits.h.
enum ExitStatus: Int32 {
    case failure = 1
    case verificationFailed = 2
    case badInput = 65
    case unreadable = 66
    case codecMissing = 69
    case cannotCreate = 73
    case interrupted = 130

    /// The status that tells an error to a script.
    init(_ error: any Error) {
        self =
            switch error {
            case let error as ModelFileError:
                switch error {
                case .unreadable, .changed: .unreadable
                case .notAModel, .unsupported, .malformed, .invalidTensor, .noTensors: .badInput
                }
            case let error as ArchiveError:
                switch error {
                case .io: .unreadable
                case .exists, .busy, .cannotWrite: .cannotCreate
                case .cancelled, .stopped: .interrupted
                case .notExact: .failure
                case .notAnArchive, .damaged, .layer, .recoding, .unconvertible, .pattern, .option: .badInput
                }
            case let error as CodecError:
                if case .unavailable = error { .codecMissing } else { .badInput }
            case is EvaluationError: .badInput
            case let error as GraphError:
                switch error {
                case .file(.unreadable), .file(.changed): .unreadable
                case .request: .unreadable
                case .node, .graph, .file, .option: .badInput
                }
            case let error as ExecutionError:
                switch error {
                case .missing: .codecMissing
                case .run: .failure
                case .unknownTarget, .unknownMode, .model, .value: .badInput
                }
            case let error as DataError:
                switch error {
                case .unreadable: .unreadable
                case .library: .codecMissing
                case .file, .input, .option: .badInput
                }
            default: .failure
            }
    }
}

/// Runs a command's work: its errors become one line on standard error and an exit status.
func reportingErrors(_ work: () async throws -> Void) async throws {
    do {
        try await work()
        try MappedFile.checkAllWhole()
    } catch let error as ExitCode {
        throw error
    } catch let error as ValidationError {
        throw error
    } catch {
        printError("\(error)")
        throw ExitCode(ExitStatus(error).rawValue)
    }
}

/// Prints a line on standard error.
func printError(_ message: String) {
    // Names of tensors and files are in it, and may hold anything.
    writeToStandardError("wcodec: \(printable(message))\n")
}

/// Writes to standard output, all of it.
///
/// - Throws: `ArchiveError.cannotWrite` when it takes no more.
func writeToStandardOutput(_ bytes: [UInt8]) throws(ArchiveError) {
    var done = 0
    while done < bytes.count {
        let wrote = bytes[done...].withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        if wrote < 0, errno == EINTR { continue }
        guard wrote > 0 else { throw unwritableStandardOutput() }
        done += wrote
    }
}

/// Writes what was printed and waits in memory.
///
/// - Throws: `ArchiveError.cannotWrite` when standard output did not take that, or something before: `print` says nothing of a
///   full disk.
private func flushStandardOutput() throws(ArchiveError) {
    guard fflush(stdout) == 0 else { throw unwritableStandardOutput() }
    guard ferror(stdout) == 0 else {
        throw .cannotWrite(path: "standard output", reason: "some of what was printed could not be written")
    }
}

/// Makes the program end with an error when standard output did not take all, also of what ArgumentParser prints.
func watchStandardOutput() {
    atexit {
        do throws(ArchiveError) {
            try flushStandardOutput()
        } catch {
            printError(error.description)
            _exit(ExitStatus(error).rawValue)
        }
    }
}

private func unwritableStandardOutput() -> ArchiveError {
    .cannotWrite(path: "standard output", reason: String(cString: strerror(errno)).lowercased())
}

/// Writes to standard error without a buffer, which Swift 6 does not let two threads share.
func writeToStandardError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
