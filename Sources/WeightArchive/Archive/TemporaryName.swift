import FoundationEssentials
import Glibc

/// Names of files and folders that are not complete yet.
///
/// They tell the process that writes them, so that those of a process that was killed can be removed.
enum TemporaryName {
    private static let prefix = ".wcodec-"

    /// A hidden name that nothing else has.
    static func make(process: Int32 = getpid()) -> String {
        "\(prefix)\(home ?? "0")-\(process)-\(UInt64.random(in: 0 ... .max)).partial"
    }

    /// Removes what this user's killed processes left in a folder.
    static func removeLeftovers(in folder: String) {
        guard let home, let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return }
        for name in names where name.hasPrefix("\(prefix)\(home)-") {
            let path = "\(folder)/\(name)"
            var status = stat()
            guard let process = Int32(name.split(separator: "-").dropFirst(2).first ?? ""), process > 0,
                kill(process, 0) != 0, errno == ESRCH, lstat(path, &status) == 0, status.st_uid == geteuid()
            else { continue }
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    /// Where a process number means this process: the system since it started, and the container in it.
    ///
    /// Other machines may write to the same folder. `nil` where it cannot be told.
    private static let home: String? = {
        guard let boot = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8),
            let container = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")
        else { return nil }
        return String(Array((boot + container).utf8).withUnsafeBytes { Hasher128.hash($0) }.prefix(12))
    }()
}
