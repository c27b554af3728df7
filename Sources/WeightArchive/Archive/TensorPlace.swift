import ModelFiles
import WeightMapper

/// Where a packed file has a tensor's bytes.
enum TensorPlace: Equatable {
    /// In streams: it is packed.
    case stream
    /// In the picture of kept tensors.
    case picture
    /// In `exact.safetensors`.
    case exact
    /// In the skeleton.
    case skeleton
    /// In the skeleton, and not in the manifest.
    case unlisted

    /// Where a tensor goes, unless others like it make another place better.
    init(_ tensor: SelectedTensor) {
        guard let kept = tensor.kept else {
            self = .stream
            return
        }
        let record = tensor.record
        let isPlain =
            record.memoryOrder == Array(record.shape.indices)
            && record.dtype.bitWidth.map { $0 % 8 == 0 } == true && record.name != "__metadata__"
        self = kept != .view && record.extent.length > 0 && isPlain ? .exact : .skeleton
    }

    /// Whether the skeleton lacks the tensor.
    var isApart: Bool { self == .stream || self == .picture || self == .exact }
}

/// Tensors of which each has a name in the manifest, or a second one in `exact.safetensors`, though it has little else.
///
/// Names cost about 8 bytes each when deflated, and as many again in `exact.safetensors`: more of them would make a packed file
/// larger than a ZIP of the model.
let mostWithHeaders = (listed: 32, exact: 16)

/// Bytes of kept tensors that become a picture, at most: it is made, and read, in memory.
private let mostInPicture = 1 << 24

/// What a picture costs beside its samples: its chunks, a ZIP's headers, what the manifest says of it.
private let bytesBesidePicture = 300

extension SelectedTensor {
    /// Whether its words are worth splitting by significance.
    fileprivate var hasSplittableWords: Bool { (FloatFormat(rawValue: record.dtype.rawValue)?.bits ?? 8) > 8 }

    /// Whether to name a kept tensor costs more than to place it well saves.
    var isTiny: Bool { record.extent.length < (hasSplittableWords ? 256 : 4096) }
}

extension Manifest.Tensor {
    /// Whether it is in the picture of kept tensors, as may be.
    var isInPicture: Bool {
        inPicture == true && kept != nil && inSkeleton != true && FloatFormat(rawValue: dtype) != nil
    }

    /// Whether it is in `exact.safetensors`.
    var isInExact: Bool { kept != nil && inSkeleton != true && inPicture != true }
}

/// The kept tensors of floating point that may become a picture.
///
/// Words that repeat are left out: split by significance they would be longer. A little longer will do, since in a picture tensors
/// share codes.
func keptFloats(_ model: ModelFile, _ tensors: [SelectedTensor], _ places: [TensorPlace]) -> [Int] {
    var left = mostInPicture
    return tensors.indices.filter { index in
        let record = tensors[index].record
        guard places[index] == .exact, tensors[index].hasSplittableWords, record.extent.length <= left,
            let format = FloatFormat(rawValue: record.dtype.rawValue)
        else { return false }
        let suits = model.withBytes(of: record.extent) { bytes in
            let some = UnsafeRawBufferPointer(rebasing: bytes.prefix(1 << 16))
            let split = WordBytes.split(some, format).withUnsafeBytes { deflatedSize($0) }
            return 20 * split < 21 * deflatedSize(some)
        }
        if suits { left -= record.extent.length }
        return suits
    }
}

/// Kept tensors as a picture; `nil` where deflate makes less of them as they are.
func keptPicture(_ model: ModelFile, _ tensors: [TensorRecord]) throws -> ByteImage? {
    var run = WordRun()
    var plain: [UInt8] = []
    for tensor in tensors {
        guard let format = FloatFormat(rawValue: tensor.dtype.rawValue) else { continue }
        model.withBytes(of: tensor.extent) { bytes in
            run.add(bytes, format)
            plain += bytes
        }
    }
    let image = try ByteImage(
        run.bytes, rowLength: 8192, codecs: ["png:blocks=best", "png:strategy=default"])
    guard let image, image.stream.count + bytesBesidePicture < plain.withUnsafeBytes({ deflatedSize($0) }) else {
        return nil
    }
    return image
}
