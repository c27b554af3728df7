import Testing

@testable import WeightMapper

/// Every layer layout over small shapes.
struct Layout: Sendable, CustomTestStringConvertible {
    let kind: LayerKind
    let convention: LayoutConvention
    let shape: [Int]
    var testDescription: String { "\(kind) \(convention) \(shape)" }

    static let all: [Layout] = {
        var all: [Layout] = []
        let sizes = [1, 2, 3, 5]
        for convention in LayoutConvention.allCases {
            for a in sizes {
                for b in sizes {
                    all.append(Layout(kind: .fc, convention: convention, shape: [a, b]))
                    all.append(Layout(kind: .embedding, convention: convention, shape: [a, b]))
                    for kind in [LayerKind.lstm, .gru] {
                        let stacked = a * kind.gates
                        switch convention {
                        case .pytorch, .tflite:
                            all.append(Layout(kind: kind, convention: convention, shape: [stacked, b]))
                        case .onnx:
                            for d in 1...2 {
                                all.append(Layout(kind: kind, convention: convention, shape: [d, stacked, b]))
                            }
                        case .keras, .transposed:
                            all.append(Layout(kind: kind, convention: convention, shape: [b, stacked]))
                        }
                    }
                    for k in 1...3 {
                        all.append(Layout(kind: .conv, convention: convention, shape: [a, b, k]))
                        all.append(Layout(kind: .conv, convention: convention, shape: [a, b, k, 3]))
                        all.append(Layout(kind: .conv, convention: convention, shape: [2, k, 3, a, b]))
                        let depthwise =
                            switch convention {
                            case .keras: [k, 3, a, b]
                            case .tflite: [1, b, k, a]
                            case .pytorch, .onnx, .transposed: [a, 1, b, k]
                            }
                        all.append(Layout(kind: .depthwise, convention: convention, shape: depthwise))
                    }
                }
            }
        }
        all.append(Layout(kind: .fc, convention: .pytorch, shape: [3, 4, 5]))
        for n in [0, 1, 2, 3, 7, 16, 17, 31] { all.append(Layout(kind: .fc, convention: .pytorch, shape: [n])) }
        return all
    }()

    /// One layout of each kind, for tests whose subject is not the layout.
    static let some = [
        Layout(kind: .fc, convention: .pytorch, shape: [9, 14]), Layout(kind: .fc, convention: .keras, shape: [9, 14]),
        Layout(kind: .conv, convention: .pytorch, shape: [5, 3, 3, 2]),
        Layout(kind: .lstm, convention: .onnx, shape: [2, 8, 5]),
        Layout(kind: .gru, convention: .keras, shape: [5, 9]),
        Layout(kind: .depthwise, convention: .pytorch, shape: [7, 1, 3, 3]),
    ]

    var geometry: LayerGeometry {
        get throws { try LayerGeometry(kind: kind, shape: shape, convention: convention) }
    }
}

@Suite struct TilingTests {
    /// Block sides worth trying: all small ones, one below the whole, the whole.
    static func sides(_ limit: Int) -> Set<Int> { Set([1, 2, limit - 1, limit].filter { $0 > 0 && $0 <= limit }) }

    @Test(arguments: [8, 16])
    func everyTilingOfEveryLayoutIsABijection(depth: Int) throws {
        for layout in Layout.all {
            let geometry = try layout.geometry
            let whole = BlockShape(whole: geometry)
            try expectBijection(Tiling(image: geometry, isTransposed: true), UInt8.self)
            for bfin in Self.sides(whole.bfin) {
                for bfout in Self.sides(whole.bfout) {
                    for bx in Self.sides(whole.bx) {
                        for by in Self.sides(whole.by) {
                            let block = BlockShape(bfin: bfin, bfout: bfout, bx: bx, by: by)
                            let tiling = try Tiling(geometry, block: block)
                            if depth == 8 {
                                try expectBijection(tiling, UInt8.self)
                            } else {
                                try expectBijection(tiling, UInt16.self)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Every weight lands on a pixel of its own, every other pixel is padding, and the inverse puts each weight back.
    func expectBijection<Bin: BinScalar>(_ tiling: Tiling, _: Bin.Type) throws {
        let count = tiling.geometry.count
        // Numbers that differ from each other and from the padding, as far as the type can hold them.
        let padding = Bin.max
        let bins = (0..<count).map { Bin(truncatingIfNeeded: $0 % Int(Bin.max)) }
        var restored = [Bin](repeating: padding, count: count)
        var seen = [Int](repeating: 0, count: Int(Bin.max) + 1)
        for frame in 0..<tiling.frameCount {
            var pixels = [Bin](repeating: 0, count: tiling.frameWidth * tiling.frameHeight)
            var target = pixels.mutableSpan
            tiling.tile(bins.span, frame: frame, padding: padding, into: &target)
            for pixel in pixels { seen[Int(pixel)] += 1 }
            var back = restored.mutableSpan
            tiling.untile(pixels.span, frame: frame, into: &back)
        }
        #expect(restored == bins)
        #expect(seen[Int(padding)] == tiling.paddingCount)
        for bin in Set(bins) { #expect(seen[Int(bin)] == bins.count { $0 == bin }) }
    }

    @Test func audioIsABijectionInRowOrder() throws {
        for layout in Layout.all {
            let geometry = try layout.geometry
            let bins = (0..<geometry.count).map { UInt16($0) }
            let tiling = AudioTiling(geometry)
            var samples = [UInt16](repeating: 0, count: tiling.sampleCount)
            var track = samples.mutableSpan
            tiling.tile(bins.span, into: &track)
            #expect(samples.sorted() == bins)
            if layout.convention == .pytorch, layout.kind != .conv, layout.kind != .depthwise {
                #expect(samples == bins)
            }
            var restored = [UInt16](repeating: 0, count: geometry.count)
            var back = restored.mutableSpan
            tiling.untile(samples.span, into: &back)
            #expect(restored == bins)
        }
    }

    func picture(_ tiling: Tiling, frame: Int = 0) -> [[UInt8]] {
        let bins = (0..<tiling.geometry.count).map { UInt8($0) }
        var pixels = [UInt8](repeating: 0, count: tiling.frameWidth * tiling.frameHeight)
        var target = pixels.mutableSpan
        tiling.tile(bins.span, frame: frame, padding: 99, into: &target)
        return stride(from: 0, to: pixels.count, by: tiling.frameWidth).map {
            Array(pixels[$0..<$0 + tiling.frameWidth])
        }
    }

    @Test func aTransposedPictureIsOnItsSide() throws {
        let fc = Tiling(image: try LayerGeometry(kind: .fc, shape: [2, 3]), isTransposed: true)
        #expect(picture(fc) == [[0, 3], [1, 4], [2, 5]])
        // The last row of a folded layer is short, and so is the last column of its picture.
        let folded = Tiling(image: try LayerGeometry.folded(count: 7), isTransposed: true)
        #expect(picture(folded) == [[0, 3, 6], [1, 4, 99], [2, 5, 99]])
        let conv = try LayerGeometry(kind: .conv, shape: [1024, 1, 512, 1])
        #expect(conv.suitsTransposedPictures && Tiling(image: conv, isTransposed: true).frameHeight == 1)
        for shape in [[100, 100], [8, 4000], [300, 100], [1, 1]] {
            #expect(try !LayerGeometry(kind: .fc, shape: shape).suitsTransposedPictures, "\(shape)")
        }
    }

    @Test("claim 4: an FC layer (Nin, Nout) is one image, Nin long and Nout wide")
    func fcImage() throws {
        let tiling = Tiling(image: try LayerGeometry(kind: .fc, shape: [2, 3]))
        #expect(picture(tiling) == [[0, 1, 2], [3, 4, 5]])
        let keras = Tiling(image: try LayerGeometry(kind: .fc, shape: [3, 2], convention: .keras))
        #expect(picture(keras) == [[0, 2, 4], [1, 3, 5]])
    }

    @Test("claim 5: a conv layer is one image, Nfin * Kx long and Nfout * Ky wide, each kernel a patch of it")
    func convImage() throws {
        let tiling = Tiling(image: try LayerGeometry(kind: .conv, shape: [2, 2, 2, 3]))
        #expect(tiling.frameCount == 1)
        #expect(
            picture(tiling) == [
                [0, 1, 2, 6, 7, 8],
                [3, 4, 5, 9, 10, 11],
                [12, 13, 14, 18, 19, 20],
                [15, 16, 17, 21, 22, 23],
            ])
    }

    @Test func transposedConvolutionsGiveThePictureOfPlainOnes() throws {
        // The first two dimensions of [2, 3, 1, 2] exchanged: weight (in 1, out 0) is memory's fourth pair.
        let tiling = Tiling(image: try LayerGeometry(kind: .conv, shape: [2, 3, 1, 2], convention: .transposed))
        #expect(picture(tiling) == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]])
        let plain = Tiling(image: try LayerGeometry(kind: .conv, shape: [3, 2, 1, 2]))
        #expect(picture(plain) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    }

    @Test("claim 6: an FC layer is cut into blocks (Bin, Bout), each a frame")
    func fcVideo() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [3, 4])
        let tiling = try Tiling(video: geometry, block: BlockShape(bfin: 2, bfout: 2))
        #expect(tiling.frameCount == 4)
        #expect(picture(tiling, frame: 0) == [[0, 1], [4, 5]])
        #expect(picture(tiling, frame: 1) == [[2, 3], [6, 7]])
        #expect(picture(tiling, frame: 2) == [[8, 9], [99, 99]])
    }

    @Test("claim 7: a conv layer is cut into blocks (Bfin, Bfout, Bx, By), each a frame Bfin * Bx by Bfout * By")
    func convVideo() throws {
        let geometry = try LayerGeometry(kind: .conv, shape: [2, 2, 2, 3])
        let tiling = try Tiling(video: geometry, block: BlockShape(bfin: 2, bfout: 1, bx: 2, by: 2))
        #expect(tiling.frameWidth == 4 && tiling.frameHeight == 2 && tiling.frameCount == 4)
        #expect(picture(tiling, frame: 0) == [[0, 1, 6, 7], [3, 4, 9, 10]])
        #expect(picture(tiling, frame: 1) == [[2, 99, 8, 99], [5, 99, 11, 99]])
    }

    @Test("claim 1: an LSTM layer is m FC layers and becomes m images")
    func lstmImages() throws {
        let tiling = Tiling(image: try LayerGeometry(kind: .lstm, shape: [8, 3]))
        #expect(tiling.frameCount == 4 && tiling.frameWidth == 3 && tiling.frameHeight == 2)
        #expect(picture(tiling, frame: 1) == [[6, 7, 8], [9, 10, 11]])
        let onnx = Tiling(image: try LayerGeometry(kind: .gru, shape: [2, 6, 3], convention: .onnx))
        #expect(onnx.frameCount == 6)
        #expect(picture(onnx, frame: 3) == [[18, 19, 20], [21, 22, 23]])
        let keras = Tiling(image: try LayerGeometry(kind: .lstm, shape: [3, 8], convention: .keras))
        #expect(picture(keras, frame: 1) == [[2, 10, 18], [3, 11, 19]])
    }

    @Test func depthwiseKernelsStandSideBySide() throws {
        let tiling = Tiling(image: try LayerGeometry(kind: .depthwise, shape: [3, 1, 2, 2]))
        #expect(picture(tiling) == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]])
    }

    @Test func transposedStorageGivesTheSamePicture() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [2, 3], memoryOrder: [1, 0])
        #expect(picture(Tiling(image: geometry)) == [[0, 2, 4], [1, 3, 5]])
    }

    @Test func rawRunsFoldToANearSquare() throws {
        let tiling = Tiling(image: try LayerGeometry.folded(count: 7))
        #expect(picture(tiling) == [[0, 1, 2], [3, 4, 5], [6, 99, 99]])
    }

    @Test(arguments: [
        [1536, 384], [30522, 384], [1024, 40], [1024, 256], [128, 129], [1000, 1280], [320, 192, 1, 1],
        [512, 512, 3, 3],
        [512, 512, 3, 3, 3], [64, 3, 7, 7], [4_000_000, 3], [5, 100_003], [130, 65_537],
    ])
    func defaultFramesWasteUnderTwoPercent(shape: [Int]) throws {
        let geometry = try LayerGeometry(kind: shape.count == 2 ? .fc : .conv, shape: shape)
        let tiling = try Tiling(video: geometry)
        #expect(Double(tiling.paddingCount) < 0.02 * Double(geometry.count))
        #expect(tiling.frameWidth <= 4096 || geometry.axes.count > 2)
    }

    @Test func blocksOutsideTheLayerAreRefused() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4, 6])
        #expect(throws: MapperError.block(field: "Bfin", value: 7, limit: 6)) {
            try Tiling(geometry, block: BlockShape(bfin: 7, bfout: 1))
        }
        #expect(throws: MapperError.block(field: "By", value: 0, limit: 1)) {
            try Tiling(geometry, block: BlockShape(bfin: 1, bfout: 1, bx: 1, by: 0))
        }
    }
}
