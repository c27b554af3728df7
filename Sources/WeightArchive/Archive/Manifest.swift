import FoundationEssentials
import ModelFiles

/// What a packed file holds and how to restore it, as `manifest.json`.
///
/// `docs/format.md` specifies every field.
struct Manifest: Codable, Equatable {
    /// Versions of the format that this program reads; it writes the lowest that says all there is to say.
    static let versions = 1...4

    /// Always "wcodec".
    var format = "wcodec"
    /// The lowest that says all there is to say (`neededVersion`).
    var version = 1
    var source: Source
    /// The quantizer of all layers; absent where layers are planes, which have one each.
    var quantizer: Quantizer?
    /// "image", "video" or "audio"; in version 3 that of most weights, for people.
    var medium: String
    /// Size and hash of the entry with the quantizer's parameters; absent when no tensor is packed.
    var parameters: Blob?
    /// Hash of `exact.safetensors`; absent when it is.
    var exact: String?
    /// Size and hash of the picture of kept tensors; absent when it is.
    var kept: Blob?
    /// Kept tensors that `tensors` leaves out; absent when it leaves out none.
    var unlisted: Unlisted?
    var streams: [Stream]
    var tensors: [Tensor]

    struct Source: Codable, Equatable {
        /// Format of the model file, as `ModelFormatName`.
        var format: String
        var files: [File]
        /// Present, and true, when the model is a folder although it may hold a single file.
        var directory: Bool?

        /// Whether the files are restored into a folder; a single one without it goes under any name.
        var isFolder: Bool { directory == true || files.count > 1 || files.contains { $0.name.contains("/") } }
    }

    struct File: Codable, Equatable {
        var name: String
        /// Size of the file, or of its plain form.
        var size: Int
        /// Hash of the skeleton entry.
        var skeleton: String
        /// Size of the original, where `size` is that of its plain form.
        var original: Int?
        /// What makes the file of its plain form.
        var recoding: Recoding?
    }

    /// Tensors in the skeleton that are too small to be listed.
    struct Unlisted: Codable, Equatable {
        /// How many there are.
        var count: Int
        /// Their sizes together.
        var bytes: Int
    }

    struct Quantizer: Codable, Equatable {
        /// "uniform".
        var name: String
        /// "layer" or "channel".
        var range: String
        /// "middle" or "mean".
        var reconstruct: String
    }

    struct Blob: Codable, Equatable {
        /// Size of what the picture holds, and of the entry with the picture.
        var bytes: Int
        var stored: Int
        var hash: String
        /// Size in the archive as an image.
        var width: Int
        var height: Int
    }

    struct Stream: Codable, Equatable {
        var entry: String
        /// Codec with parameters.
        var codec: String
        var width: Int
        var height: Int
        var frames: Int
        var bits: Int
        var hash: String
    }

    struct Tensor: Codable, Equatable {
        var name: String
        /// Further names of the same bytes.
        var aliases: [String]?
        var dtype: String
        var shape: [Int]
        /// Size in the file, of a tensor in the skeleton whose elements have no width of their own.
        var bytes: Int?
        /// Index of the file and offset of the tensor's bytes in it.
        var at: [Int]
        /// Why it is kept exactly; absent for packed tensors.
        var kept: String?
        /// Whether its bytes lie in the skeleton rather than in `exact.safetensors`.
        var inSkeleton: Bool?
        /// Whether it is in the picture of kept tensors.
        var inPicture: Bool?
        var packed: Packed?
    }

    struct Packed: Codable, Equatable {
        var kind: String
        /// Axes in memory order as [role, count].
        var axes: [Axis]
        /// Offset and length of the quantizer's parameters.
        var parameters: [Int]
        /// Hash of the restored bytes.
        var hash: String
        /// Bytes of the streams that are this tensor's, parameters not counted.
        var bytes: Int
        var entropy: Double
        var variance: Double
        var mse: Double
        var maxError: Double
        /// How it is held: its fields stand beside these.
        var form: Form

        enum Form: Equatable {
            /// One bin for each weight.
            case bins(Bins)
            /// Version 3 and later.
            case planes(Planes)
        }

        private enum CodingKeys: String, CodingKey {
            case kind, axes, parameters, hash, bytes, entropy, variance, mse, maxError, quantizer, planes
        }
    }

    struct Bins: Codable, Equatable {
        var bits: Int
        /// Encoding of the ranges.
        var ranges: String
        /// (Bfin, Bfout, Bx, By) of a video's frames.
        var block: [Int]?
        /// Index of the stream that the first frame is in, and the frame's number there.
        var stream: Int
        var frame: Int
        /// Number of frames; those of an image are in a stream each.
        var frames: Int
        /// Whether images lie on their side; absent where they do not.
        var transposed: Bool?
    }

    struct Planes: Codable, Equatable {
        var quantizer: LayerQuantizer
        var planes: [Plane]
    }

    struct LayerQuantizer: Codable, Equatable {
        /// "uniform", "fixed", "scaled", "trellis", "exact", "delta" or "bytes".
        var name: String
        /// Uniform: "layer" or "channel"; "middle" or "mean"; encoding of the ranges.
        ///
        /// Fixed and scaled: "layer", "channel" or "group:K".
        var range: String?
        var reconstruct: String?
        var ranges: String?
        /// Fixed and scaled: encoding of the exponents or scales.
        var precision: String?
        /// Trellis: number of states; "channels" where they have steps of their own; by what weights are sorted, "channels" or
        /// "both"; what has centers, "channels" or "places".
        var states: Int?
        var steps: String?
        var sorted: String?
        var centers: String?
        /// Trellis: weights that predict each, and the places from one to the next; absent where none do.
        var order: Int?
        var lag: Int?
        /// Delta: hash of the base's bytes; index of its tensor where it is in this file.
        var base: String?
        var earlier: Int?
    }

    struct Plane: Codable, Equatable {
        var bits: Int
        /// "layer", "channels", "run", "strip" or "rows".
        var shape: String
        /// Samples of all but the first two, and of rows the samples of one.
        var count: Int?
        var width: Int?
        /// (Bfin, Bfout, Bx, By) of a video's frames.
        var block: [Int]?
        /// Index of the first of its streams, and their number.
        var stream: Int
        var streams: Int
        /// Number of its first frame in its only stream, a film; absent where the streams hold nothing else.
        var frame: Int?
        /// Whether images lie on their side; absent where they do not.
        var transposed: Bool?
    }

    struct Axis: Codable, Equatable {
        var role: String
        var count: Int

        init(role: String, count: Int) {
            self.role = role
            self.count = count
        }

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            role = try container.decode(String.self)
            count = try container.decode(Int.self)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode(role)
            try container.encode(count)
        }
    }

    /// The version that the manifest needs: 4 for a picture of kept tensors and for pictures of layers that lie on their side; else
    /// 3 for layers that are planes; else 2 for files with a recoding, which readers of version 1 would leave out; else 1.
    var neededVersion: Int {
        if kept != nil || tensors.contains(where: \.isTransposed) { return 4 }
        return hasPlanes ? 3 : source.files.contains { $0.recoding != nil } ? 2 : 1
    }

    /// Whether layers are planes.
    var hasPlanes: Bool {
        tensors.contains { tensor in
            if case .planes = tensor.packed?.form { true } else { false }
        }
    }

    /// The same bytes for equal manifests.
    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }
}

extension Manifest.Tensor {
    /// Whether pictures of a packed tensor lie on their side.
    fileprivate var isTransposed: Bool {
        switch packed?.form {
        case .bins(let bins): bins.transposed == true
        case .planes(let planes): planes.planes.contains { $0.transposed == true }
        case nil: false
        }
    }
}

extension Manifest.Packed {
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(String.self, forKey: .kind)
        axes = try container.decode([Manifest.Axis].self, forKey: .axes)
        parameters = try container.decode([Int].self, forKey: .parameters)
        hash = try container.decode(String.self, forKey: .hash)
        bytes = try container.decode(Int.self, forKey: .bytes)
        entropy = try container.decode(Double.self, forKey: .entropy)
        variance = try container.decode(Double.self, forKey: .variance)
        mse = try container.decode(Double.self, forKey: .mse)
        maxError = try container.decode(Double.self, forKey: .maxError)
        // A second container of the same object would cost as much as all that is read from the first.
        form =
            container.contains(.planes)
            ? .planes(
                Manifest.Planes(
                    quantizer: try container.decode(Manifest.LayerQuantizer.self, forKey: .quantizer),
                    planes: try container.decode([Manifest.Plane].self, forKey: .planes)))
            : .bins(try Manifest.Bins(from: decoder))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        try container.encode(axes, forKey: .axes)
        try container.encode(parameters, forKey: .parameters)
        try container.encode(hash, forKey: .hash)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(entropy, forKey: .entropy)
        try container.encode(variance, forKey: .variance)
        try container.encode(mse, forKey: .mse)
        try container.encode(maxError, forKey: .maxError)
        switch form {
        case .bins(let bins): try bins.encode(to: encoder)
        case .planes(let planes): try planes.encode(to: encoder)
        }
    }

    /// Gives the tensor that it was packed against another number.
    mutating func renumberBase(_ number: (Int) -> Int?) {
        guard case .planes(var planes) = form else { return }
        planes.quantizer.earlier = planes.quantizer.earlier.flatMap(number)
        form = .planes(planes)
    }

    /// How bins are held, where there is one for each weight.
    var bins: Manifest.Bins? {
        if case .bins(let bins) = form { bins } else { nil }
    }

    /// How planes are held.
    var planes: Manifest.Planes? {
        if case .planes(let planes) = form { planes } else { nil }
    }
}

/// Names of a packed file's entries.
enum EntryName {
    static let manifest = "manifest.json"
    static let exact = "exact.safetensors"
    static let parameters = "parameters.png"
    static let kept = "kept.png"
    static func skeleton(_ file: String) -> String { "skeleton/\(file)" }

    /// Whether an entry may be deflated: all but streams and parameters, which are compressed already.
    static func mayBeDeflated(_ name: String) -> Bool {
        name == manifest || name == exact || name.hasPrefix("skeleton/")
    }

    /// A stream's name, from its tensor's.
    static func stream(_ medium: String, _ tensor: String, _ suffix: String, taken: inout Set<String>) -> String {
        "\(medium)/" + safe(tensor, suffix, taken: &taken)
    }

    /// A file name that every system takes, from a tensor's name; `taken` keeps names apart that differ in case only.
    static func safe(_ tensor: String, _ suffix: String, taken: inout Set<String>) -> String {
        let plain = String(
            tensor.prefix(150).map { character in
                character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
                    ? character : "_"
            })
        var attempt = 1
        while true {
            let name = "\(plain)\(attempt == 1 ? "" : "~\(attempt)")\(suffix)"
            if taken.insert(name.lowercased()).inserted { return name }
            attempt += 1
        }
    }
}
