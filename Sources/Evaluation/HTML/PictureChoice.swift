import WeightArchive

/// Which pictures of layers a report's page holds.
public enum PictureChoice: String, Sendable, CaseIterable {
    /// Full ones where they make the page no larger than 32 MB, else previews, and none where even these would.
    case auto
    /// Every weight as a pixel.
    case full
    /// Small ones.
    case preview
    /// None.
    case none
}

/// What that comes to for certain packed files.
struct PicturePlan: Sendable, Equatable {
    /// Whether full pictures are on the page.
    let hasFull: Bool
    /// Previews of each layer.
    let previews: Int

    /// Pictures of a layer that are on the page at most.
    static let fullPictures = 8
    static let previewSize = (width: 128, height: 80)
    /// Of the pictures on a page that nobody asked for, in bytes.
    static let automaticLimit = 32 << 20
    /// Of the pictures on a page at all: browsers refuse texts of half a gigabyte.
    static let limit = 256 << 20

    /// - Throws: `EvaluationError.page` when full pictures were asked for that no browser would open.
    init(_ choice: PictureChoice, _ summaries: [ArchiveSummary]) throws(EvaluationError) {
        try self.init(
            choice, layers: summaries.reduce(0) { $0 + $1.layers.count },
            full: summaries.reduce(0) { $0 + Self.bytes($1) })
    }

    /// A plan for so many layers, whose full pictures take `full` bytes.
    init(_ choice: PictureChoice, layers: Int, full: Int) throws(EvaluationError) {
        // 16 shades hardly compress; base64 makes 4 of 3.
        let preview = Self.previewSize.width * Self.previewSize.height / 2 * 4 / 3
        switch choice {
        case .none: (hasFull, previews) = (false, 0)
        case .full:
            guard full <= Self.limit else {
                throw .page(
                    "full pictures: expected at most \(size(Self.limit)), found about \(size(full)); "
                        + "--pictures preview makes a small page, inspect --gallery writes every picture")
            }
            (hasFull, previews) = (true, 1)
        case .auto where full <= Self.automaticLimit: (hasFull, previews) = (true, 1)
        case .auto where layers * preview > Self.automaticLimit: (hasFull, previews) = (false, 0)
        case .auto, .preview: (hasFull, previews) = (false, layers * preview * 4 <= Self.automaticLimit ? 4 : 1)
        }
    }

    init(hasFull: Bool, previews: Int) {
        self.hasFull = hasFull
        self.previews = previews
    }

    /// About what the pictures of a file take on a page, in bytes: PNG spends little more than the entropy.
    private static func bytes(_ summary: ArchiveSummary) -> Int {
        summary.layers.reduce(0) { sum, layer in
            let bits = max(layer.statistics.entropy, layer.streamBitsPerWeight) * Double(layer.weights)
            return sum + Int(min(bits / 8 * 4 / 3, 1e15))
        }
    }
}
