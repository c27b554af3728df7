import FoundationEssentials
import Synchronization
import WeightArchive

/// What the page shows of a layer beside its figures.
struct LayerLook: Sendable {
    let histograms: LayerHistograms
    let ranges: RangeSummary?
    /// Pictures that the layer has, and the size of each in weights.
    let pictureCount: Int
    let pictureSize: (width: Int, height: Int)
    /// The first few of them, small.
    let previews: [PagePicture]
    /// The first few of them, every weight a pixel; empty where the plan has none.
    let full: [PagePicture]

    init(_ layer: DecodedLayer, _ plan: PicturePlan) throws {
        histograms = LayerHistograms(layer)
        ranges = layer.ranges.flatMap { RangeSummary($0) }
        pictureCount = layer.pictureCount
        let size = layer.pictureSize
        pictureSize = size
        previews = try (0..<min(plan.previews, pictureCount)).map { number in
            try layer.preview(number, within: PicturePlan.previewSize)
        }
        full =
            try plan.hasFull
            ? (0..<min(PicturePlan.fullPictures, pictureCount)).map { number in
                PagePicture(png: try layer.picture(number), width: size.width, height: size.height)
            } : []
    }

    /// Looks at every layer of a packed file, decoding it once.
    ///
    /// - Returns: the layers in the order of the file's summary, and what general-purpose compressors make of their bins.
    static func all(
        of packed: PackedModel, _ plan: PicturePlan, threads: Int, progress: ProgressHandler
    ) async throws -> (looks: [LayerLook], compressed: GeneralCompressors) {
        let found = Mutex<([Int: LayerLook], GeneralCompressors)>(([:], GeneralCompressors()))
        try await packed.forEachDecodedLayer(threads: threads, progress: progress) { layer in
            let look = try LayerLook(layer, plan)
            let compressed = GeneralCompressors(bins: layer.bins, bits: layer.bits)
            found.withLock { found in
                found.0[layer.index] = look
                found.1.add(compressed)
            }
        }
        return found.withLock { found in
            (found.0.sorted { $0.key < $1.key }.map(\.value), found.1)
        }
    }
}
