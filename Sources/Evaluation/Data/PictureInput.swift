import Codecs
import Execution
import ModelFiles
import ModelGraph

/// What becomes of the samples of pictures in a network's input of floats: (sample / 255 - mean) / deviation.
public struct PictureScaling: Sendable {
    /// One value, or one for each channel.
    public let mean: [Double]
    /// One value, or one for each channel; none is 0.
    public let deviation: [Double]

    public init(mean: [Double] = [0], deviation: [Double] = [1]) {
        precondition([1, 3].contains(mean.count) && [1, 3].contains(deviation.count))
        self.mean = mean
        self.deviation = deviation
    }
}

/// An input of a network that a picture can be given to, and the order in which it wants the samples.
struct PictureInput {
    /// The order of the dimensions of one picture.
    private enum Order {
        /// Channels, rows, columns.
        case planes
        /// Rows, columns, channels.
        case pixels
        /// All samples of a gray picture in one row.
        case flat
    }

    let channels: Int
    private let port: NetworkPort
    private let order: Order
    private let height: Dimension
    private let width: Dimension
    private let rank: Int

    /// - Returns: `nil` for an input that takes no pictures of 1 or 3 channels: the sizes say in which order it takes them.
    init?(_ port: NetworkPort) {
        guard let shape = port.shape, let type = port.type, [.f32, .f16, .f64, .u8].contains(type) else { return nil }
        self.port = port
        rank = shape.count
        func isChannels(_ dimension: Dimension) -> Bool { dimension.size == 1 || dimension.size == 3 }
        switch shape.count {
        case 4 where isChannels(shape[1]):
            (order, channels, height, width) = (.planes, shape[1].size ?? 1, shape[2], shape[3])
        case 4 where isChannels(shape[3]):
            (order, channels, height, width) = (.pixels, shape[3].size ?? 1, shape[1], shape[2])
        case 3 where shape[0].size == 3:
            (order, channels, height, width) = (.planes, 3, shape[1], shape[2])
        case 3 where isChannels(shape[2]):
            (order, channels, height, width) = (.pixels, shape[2].size ?? 1, shape[0], shape[1])
        // Gray pictures, one or a batch of them.
        case 3: (order, channels, height, width) = (.planes, 1, shape[1], shape[2])
        case 2: (order, channels, height, width) = (.flat, 1, .size(1), shape[1])
        default: return nil
        }
    }

    /// The tensor of a batch of one picture.
    ///
    /// - Parameter path: the picture's file, for errors.
    /// - Throws: `DataError.input` for a picture of another size than the network takes.
    func value(of picture: Picture, _ scaling: PictureScaling, path: String) throws(DataError) -> TensorValue {
        let fits =
            order == .flat
            ? width.size == nil || width.size == picture.width * picture.height
            : (height.size ?? picture.height) == picture.height && (width.size ?? picture.width) == picture.width
        guard fits, picture.channels == channels else {
            throw .input(
                path: path, input: port.name, expected: port.text,
                found:
                    "a picture of \(picture.width)x\(picture.height) pixels, \(picture.channels == 1 ? "gray" : "RGB")")
        }
        let shape: [Int] =
            switch order {
            case .flat: [1, picture.width * picture.height]
            case .planes where rank == 4: [1, channels, picture.height, picture.width]
            case .planes: [channels, picture.height, picture.width]
            case .pixels where rank == 4: [1, picture.height, picture.width, channels]
            case .pixels: [picture.height, picture.width, channels]
            }
        let bytes = try samples(of: picture, scaling, path)
        guard let type = port.type, let value = TensorValue(type: type, shape: shape, bytes: bytes) else {
            throw .input(path: path, input: port.name, expected: port.text, found: "a picture")
        }
        return value
    }

    private func samples(of picture: Picture, _ scaling: PictureScaling, _ path: String) throws(DataError) -> [UInt8] {
        let samples = order == .planes && channels > 1 ? planes(of: picture) : picture.samples
        let pixels = picture.width * picture.height
        guard scaling.mean.count <= channels, scaling.deviation.count <= channels else {
            throw .option("--mean, --std", expected: "one value for a gray picture", found: "3")
        }
        // What each of the 256 levels of a channel becomes.
        let levels = (0..<channels).map { channel -> [Double] in
            let mean = scaling.mean[scaling.mean.count == 1 ? 0 : channel]
            let deviation = scaling.deviation[scaling.deviation.count == 1 ? 0 : channel]
            return (0..<256).map { (Double($0) / 255 - mean) / deviation }
        }
        func write<Element: BitwiseCopyable>(_ convert: (Double) -> Element) -> [UInt8] {
            let table = levels.map { $0.map(convert) }
            let size = MemoryLayout<Element>.size
            return [UInt8](unsafeUninitializedCapacity: samples.count * size) { buffer, count in
                let target = UnsafeMutableRawBufferPointer(buffer)
                for (index, sample) in samples.enumerated() {
                    let channel = order == .planes ? index / max(pixels, 1) : index % channels
                    target.storeBytes(of: table[channel][Int(sample)], toByteOffset: index * size, as: Element.self)
                }
                count = samples.count * size
            }
        }
        switch port.type {
        case .f32: return write { Float($0) }
        case .f64: return write { $0 }
        case .f16: return write { Float16($0) }
        default: return samples
        }
    }

    private func planes(of picture: Picture) -> [UInt8] {
        let pixels = picture.width * picture.height
        return [UInt8](unsafeUninitializedCapacity: picture.samples.count) { target, count in
            for channel in 0..<channels {
                for pixel in 0..<pixels {
                    target[channel * pixels + pixel] = picture.samples[pixel * channels + channel]
                }
            }
            count = picture.samples.count
        }
    }
}
