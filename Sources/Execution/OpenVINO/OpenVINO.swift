import CEngineShims
import ModelFiles

/// Networks run by OpenVINO on the processor.
///
/// Source: openvino/c of openvinotoolkit/openvino. It does not take all that ONNX can say: a branch whose outputs differ in rank is
/// one thing that it refuses.
public struct OpenVINO: ExecutionTarget {
    public static let name = "openvino"

    public static let modes = [RunMode(name, layout: "blocked")]

    static let title = "OpenVINO"
    private static let place = EngineLibrary(
        title: title, file: "libopenvino_c.so", systemName: "libopenvino_c.so", package: "openvino", folder: "libs",
        option: "--openvino", variable: "WCODEC_OPENVINO")
    /// The first version whose numbers of element types are those of ``OpenVINOCore/types``.
    private static let oldest = 2025

    private let core: OpenVINOCore
    private let version: String

    /// Finds OpenVINO: where `library` says, else where the environment variable `WCODEC_OPENVINO` says, else among the system's
    /// libraries, else in the package of `python3`.
    public init(library path: String?) async throws(ExecutionError) {
        let functions = try await Self.place.load(at: path) { wc_openvino_load($0, $1) }
        var found = ov_version_t()
        guard functions.ov_get_openvino_version(&found) == 0, let number = found.buildNumber else {
            throw Self.place.missing("its version cannot be told")
        }
        version = String(cString: number)
        functions.ov_version_free(&found)
        guard let year = version.split(separator: ".").first.flatMap({ Int($0) }), year >= Self.oldest else {
            throw Self.place.missing("expected version \(Self.oldest) or later, found \(version)")
        }
        do throws(OpenVINOFailure) {
            core = try OpenVINOCore(functions)
        } catch {
            throw Self.place.missing(error.reason)
        }
    }

    public var description: String { "\(Self.title) \(version.prefix { $0 != "-" })" }

    public func load(
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        let start = ContinuousClock.now
        return try withModel(path, weights: weights) { (file) throws(ExecutionError) in
            do throws(OpenVINOFailure) {
                return try OpenVINONetwork(file, threads: threads, core, since: start)
            } catch {
                throw .model(path: path, engine: Self.title, reason: error.reason)
            }
        }
    }
}
