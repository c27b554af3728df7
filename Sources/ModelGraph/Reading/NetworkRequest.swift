import ModelFiles
import Subprocess
import SystemPackage

/// Asks a running application for the representation of the network that it runs.
///
/// Source: claim 6 of CN110058936B. The answer is the JSON of `docs/graph.md`: the body of an HTTP GET, or what a command prints.
public enum NetworkRequest: Sendable {
    /// An `http` or `https` address.
    case url(String)
    /// A shell command.
    case command(String)

    /// Seconds that an application has to answer over HTTP.
    static let patience = 30

    /// Asks and reads the answer.
    ///
    /// - Throws: `GraphError.request` when there is none, `GraphError` when it is no graph.
    public func network() async throws -> Network {
        switch self {
        case .url(let url):
            guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
                throw GraphError.option("--from-url", expected: "an http or https address", found: url)
            }
            // Redirections stay with these protocols too; none of the user's own settings count.
            let arguments = [
                "--disable", "--fail", "--silent", "--show-error", "--location", "--max-redirs", "5",
                "--proto", "=http,https", "--max-time", "\(Self.patience)", "--max-filesize", "\(Network.largestJSON)",
                "--header", "Accept: application/json", "--url", url,
            ]
            return try await answer(of: "curl", arguments, named: url)
        case .command(let command):
            return try await answer(of: "sh", ["-c", command], named: "--from-command '\(command)'")
        }
    }

    private func answer(of program: String, _ arguments: [String], named source: String) async throws -> Network {
        do {
            let result = try await run(
                .name(program), arguments: Arguments(arguments), output: .bytes(limit: Network.largestJSON),
                error: .string(limit: 1 << 16))
            guard result.terminationStatus.isSuccess else {
                let lines = result.standardError.split(separator: "\n")
                throw GraphError.request(
                    source, expected: "an answer", found: lines.last.map(String.init) ?? "\(result.terminationStatus)")
            }
            return try Network(json: result.standardOutput, source: source)
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw GraphError.request(
                source, expected: "the program \(program)", found: "none (apt-get install \(program))")
        } catch let error as SubprocessError {
            throw GraphError.request(
                source, expected: "an answer of at most \(Network.largestJSON) bytes", found: "\(error)")
        }
    }
}
