import TestSupport
import Testing

@testable import Evaluation

struct TreemapTests {
    @Test(arguments: [1, 2, 3, 10, 301], [0.5, 1, 2.8])
    func rectanglesFillTheAreaInProportion(count: Int, aspect: Double) {
        var generator = SeededGenerator(UInt64(count))
        let weights = (0..<count).map { _ in Double.random(in: 1...100, using: &generator) }.sorted(by: >)
        let areas = treemap(weights, aspect: aspect)
        #expect(areas.count == count)
        let total = weights.reduce(0, +)
        for (area, weight) in zip(areas, weights) {
            #expect((area.width * area.height - weight / total).magnitude < 1e-9)
            #expect(
                area.x > -1e-9 && area.y > -1e-9 && area.x + area.width < 1 + 1e-9 && area.y + area.height < 1 + 1e-9)
        }
        for (i, a) in areas.enumerated() {
            for b in areas[..<i] {
                let overlapX = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
                let overlapY = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
                #expect(min(overlapX, overlapY) < 1e-9)
            }
        }
    }

    @Test func equalWeightsAreNearlySquare() {
        for area in treemap([Double](repeating: 1, count: 64), aspect: 2) {
            let ratio = area.width * 2 / area.height
            #expect(ratio > 0.4 && ratio < 2.5)
        }
    }

    @Test func nothingHasNoRectangles() {
        #expect(treemap([], aspect: 1).isEmpty && treemap([0], aspect: 1).isEmpty)
    }

    @Test func labelsBreakAtDotsAndKeepTheEnd() {
        #expect(MapLabel.lines("encoder.layer.0.dense", width: 110, height: 64) == ["encoder.layer", "0.dense"])
        #expect(MapLabel.lines("encoder.layer.0.dense", width: 110, height: 20) == ["…0.dense"])
        #expect(MapLabel.lines("embeddings", width: 60, height: 20) == ["embedd…"])
        #expect(MapLabel.lines("embeddings", width: 30, height: 20).isEmpty)
        #expect(MapLabel.lines("embeddings", width: 300, height: 10).isEmpty)
    }
}
