/// Names of a model's files: paths that lead to a place inside the model's own folder and nowhere else.
enum RelativeName {
    /// Bytes of a name at most, and of each of its parts, which is what file systems take.
    static let maximumLength = 1024
    static let maximumPartLength = 255

    /// Whether a name may become a file's path below a folder.
    static func isSafe(_ name: String) -> Bool {
        name.utf8.count <= maximumLength
            && name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.count <= maximumPartLength && !part.elementsEqual(".".utf8)
                    && !part.elementsEqual("..".utf8)
                    && !part.contains { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "\\") }
            }
    }

    /// The first name that cannot be a file's beside the others, and why; `nil` when all can.
    static func fault(in names: [String]) -> (name: String, expected: String)? {
        var files: Set<[UInt8]> = []
        for name in names {
            guard isSafe(name) else { return (name, "a plain name, or a path of such without '..'") }
            guard files.insert(Array(name.utf8)).inserted else { return (name, "distinct names") }
        }
        return folders(of: names).first { files.contains(Array($0.utf8)) }.map {
            ($0, "a file's name that is no folder of another's")
        }
    }

    /// The folders that files of these names lie in, each after those that it lies in itself.
    static func folders(of names: [String]) -> [String] {
        var folders: [String] = []
        // As bytes: Swift takes two encodings of an accent for the same text, file systems do not.
        var seen: Set<[UInt8]> = []
        for name in names {
            for slash in name.utf8.indices where name.utf8[slash] == UInt8(ascii: "/") {
                let folder = String(name[..<slash])
                if seen.insert(Array(folder.utf8)).inserted { folders.append(folder) }
            }
        }
        return folders
    }
}
