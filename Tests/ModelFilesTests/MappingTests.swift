import Foundation
import TestSupport
import Testing

@testable import ModelFiles

/// Mapped files that become shorter.
struct MappingTests {
    @Test func bytesThatAreGoneAreZerosAndKnown() throws {
        let folder = try TemporaryFolder()
        let content = [UInt8](repeating: 5, count: 1 << 20)
        let (path, other) = (try folder.write(content, "a"), try folder.write(content, "b"))
        let (file, neighbor) = (try MappedFile(path), try MappedFile(other))
        try file.checkUnchanged()
        #expect(truncate(path, 100_000) == 0)
        #expect(file.withAllBytes { $0[50_000] == 5 && $0[900_000] == 0 && $0[1 << 20 - 1] == 0 })
        // Also where memory is given back and read again.
        var sum = 0
        file.forEachPiece(of: 0..<file.size, size: 1 << 16) { sum += $1.reduce(0) { $0 + Int($1) } }
        #expect(sum <= 5 * 102_400)
        #expect(throws: ModelFileError.changed(path: path, expected: "1048576 bytes", found: "100000")) {
            try file.checkUnchanged()
        }
        #expect(truncate(path, 1 << 20) == 0)
        #expect(throws: ModelFileError.self) { try file.checkUnchanged() }
        #expect(neighbor.withAllBytes { $0.allSatisfy { $0 == 5 } })
        try neighbor.checkUnchanged()
        #expect(throws: ModelFileError.self) { try MappedFile.checkAllWhole() }
    }

    @Test func theyMayBeReadByManyThreads() async throws {
        let folder = try TemporaryFolder()
        let files = try (0..<40).map { try folder.write([UInt8](repeating: 1, count: 300_000), "\($0)") }
        await withTaskGroup(of: Bool.self) { tasks in
            for path in files {
                tasks.addTask {
                    for round in 0..<4 {
                        guard let file = try? MappedFile(path), file.size == 300_000 || round > 0 else { return false }
                        truncate(path, off_t(4096 * round))
                        let isZero = file.size == 0 || file.withAllBytes { $0.last == 0 || round > 1 }
                        guard isZero else { return false }
                    }
                    return true
                }
            }
            for await isRight in tasks { #expect(isRight) }
        }
    }
}
