import FoundationEssentials
import ModelFiles
import WeightArchive

/// The compression report as one page that needs nothing else: of a packed file, or of several of one model side by side.
public struct HTMLReport: Sendable {
    /// A packed file on the page.
    public struct Source: Sendable {
        /// What the page calls it.
        let label: String
        let packed: PackedModel
        let verification: Verification?

        /// - Parameters:
        ///   - packed: the packed file.
        ///   - verification: the loss of accuracy, where it was measured.
        public init(_ packed: PackedModel, verification: Verification? = nil) {
            label = packed.path.split(separator: "/").last.map(String.init) ?? packed.path
            self.packed = packed
            self.verification = verification
        }
    }

    private let page: ReportPage

    /// Decodes every layer once and makes its part of the page.
    ///
    /// - Parameters:
    ///   - sources: packed files, at least one; the first is what others are compared with.
    ///   - original: the original model, to compare with zip and zstd of it.
    ///   - pictures: which pictures the page holds.
    ///   - threads: layers at the same time.
    ///   - progress: receives progress.
    /// - Throws: `EvaluationError.page` for pictures that are too large, `.differentModels` when no layer has its like in
    ///   another file; `ArchiveError`.
    public init(
        _ sources: [Source], original: ModelFile? = nil, pictures: PictureChoice = .auto, threads: Int,
        progress: ProgressHandler = { _ in }
    ) async throws {
        let summaries = sources.map(\.packed.summary)
        let plan = try PicturePlan(pictures, summaries)
        let rows = try LayerMatch.all(zip(sources.map(\.label), summaries).map { ($0, $1) })
        let compressedOriginal = original.map(GeneralCompressors.files)
        let total = summaries.reduce(0) { $0 + $1.weights }
        var done = 0
        var files: [ReportPage.File] = []
        for (source, summary) in zip(sources, summaries) {
            let before = done
            let (looks, bins) = try await LayerLook.all(of: source.packed, plan, threads: threads) {
                progress(Progress(done: before + $0.done, total: total))
            }
            done += summary.weights
            var document = ReportDocument(summary)
            document.comparison = .init(bins: bins, original: compressedOriginal)
            files.append(
                ReportPage.File(
                    label: source.label, path: source.packed.path, summary: summary, document: document, looks: looks,
                    metric: source.verification?.metric))
        }
        page = ReportPage(files: files, rows: rows, plan: plan)
    }

    /// The page, as UTF-8.
    public func html() throws -> [UInt8] { Array(try page.html().utf8) }
}

/// A layer of one or several packed files, matched by name.
struct LayerMatch: Sendable {
    let name: String
    /// Its place among the layers of each file; `nil` where the file has not packed it.
    let places: [Int?]

    /// Matches the layers of files, in the order of the first file that has them.
    ///
    /// - Throws: `EvaluationError.differentModels` when a file has no layer of the first one.
    static func all(_ files: [(label: String, summary: ArchiveSummary)]) throws(EvaluationError) -> [LayerMatch] {
        // A name that a strange file has twice stands for two layers.
        struct Key: Hashable {
            let name: String
            let number: Int
        }
        var order: [Key] = []
        var places: [Key: [Int?]] = [:]
        for (file, (label, summary)) in files.enumerated() {
            var seen: [String: Int] = [:]
            var isShared = false
            for (index, layer) in summary.layers.enumerated() {
                let key = Key(name: layer.name, number: seen[layer.name, default: 0])
                seen[layer.name] = key.number + 1
                if places[key] == nil {
                    order.append(key)
                    places[key] = Array(repeating: nil, count: files.count)
                } else {
                    isShared = true
                }
                places[key]?[file] = index
            }
            guard file == 0 || isShared || summary.layers.isEmpty || files[0].summary.layers.isEmpty else {
                throw .differentModels("expected layers of \(files[0].label) in \(label), found none")
            }
        }
        return order.map { LayerMatch(name: $0.name, places: places[$0] ?? []) }
    }
}
