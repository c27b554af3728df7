import TestSupport
import Testing

/// Libraries are loaded only for the codecs that need them.
struct LibraryTests {
    private static let lazy: Set = ["libavformat", "libavcodec", "libavutil", "libjxl", "libsndfile"]

    /// The libraries of `lazy` that a run of the program loads, as the dynamic loader tells.
    private func loaded(_ arguments: String, in folder: TemporaryFolder) async throws -> Set<String> {
        let result = try await shell("LD_DEBUG=files exec $wcodec \(arguments)", in: folder)
        #expect(result.status == 0 && result.error.contains("calling init"))
        return Self.lazy.filter { result.error.contains("/\($0).so") }
    }

    @Test func picturesAreCodedWithoutTheOthers() async throws {
        let folder = try await sampleFolder()
        for arguments in ["--version", "pack model.safetensors", "unpack model.wcz --force", "report model.wcz"] {
            #expect(try await loaded(arguments, in: folder) == [], "\(arguments)")
        }
    }

    // libavcodec itself needs libjxl.
    @Test(arguments: [
        ("jxl", ["libjxl"]), ("flac", ["libsndfile"]), ("ffv1", ["libavcodec", "libavformat", "libavutil"]),
    ])
    func aCodecLoadsItsLibrary(codec: String, libraries: [String]) async throws {
        let folder = try await sampleFolder()
        for arguments in ["pack model.safetensors --codec \(codec)", "unpack model.wcz --force"] {
            #expect(try await loaded(arguments, in: folder).isSuperset(of: libraries), "\(arguments)")
        }
    }

    /// Empty files that the loader finds first stand for a library that is broken or not there.
    @Test func aLibraryThatCannotBeLoadedIsNamedWithItsPackage() async throws {
        let folder = try await sampleFolder()
        #expect(
            try await wcodec("pack", "model.safetensors", "--as", "video", "-o", "video.wcz", in: folder).status == 0)
        let empty = try folder.makeFolder("empty")
        for version in 58...80 { try folder.write([], "empty/libavformat.so.\(version)") }
        func without(_ arguments: String) async throws -> ProgramResult {
            try await shell("LD_LIBRARY_PATH=\(empty) exec $wcodec \(arguments)", in: folder)
        }
        for arguments in ["pack model.safetensors --as video --force", "unpack video.wcz --force"] {
            let result = try await without(arguments)
            #expect(result.status == 69 && result.errorLines.count == 1)
            #expect(result.error.contains("codec utvideo is not available on this machine: "))
            #expect(result.error.contains("libavformat.so.") && result.error.contains("apt install libavformat"))
        }
        #expect(try await without("codecs").output.contains("ffv1: "))
        // Pictures do not need it.
        #expect(try await without("pack model.safetensors").status == 0)
        #expect(try await without("unpack model.wcz --force").status == 0)
    }
}
