import Evaluation
import Foundation
import Testing

@testable import wcodec

/// Tables and numbers as people read them.
struct TextTableTests {
    private func table(name: String) -> TextTable {
        var table = TextTable([
            .init("tensor", alignsRight: false), .init("type", priority: 3), .init("shape", priority: 1),
            .init("ratio"),
            .init("codec", priority: 2, alignsRight: false),
        ])
        table.add([name, "F32", "128x64x3x3", "5.67", "png"])
        table.add(["short", "BF16", "8", "12.30", "hevc:qp=20,speed=slow"])
        return table
    }

    @Test(arguments: [40, 60, 80, 100, 132, 200], [5, 20, 60, 200])
    func linesFitTheTerminal(width: Int, length: Int) {
        let name = "layers." + String(repeating: "x", count: length) + ".weight"
        let lines = table(name: name).lines(width: width)
        #expect(lines.dropLast().allSatisfy { $0.count <= width })
        #expect(lines.last?.hasPrefix("(a wider terminal") == true || (lines.last?.count ?? 0) <= width)
        // The end of a name tells layers apart.
        #expect(lines[1].contains(".weight") && lines[1].contains("5.67"))
    }

    @Test func theLeastImportantColumnGoesFirst() {
        let lines = table(name: String(repeating: "n", count: 24)).lines(width: 68)
        #expect(!lines[0].contains("type") && lines[0].contains("codec") && lines[0].contains("shape"))
        #expect(lines.last == "(a wider terminal shows also: type)")
    }

    @Test func aPipeGetsEverything() {
        let name = String(repeating: "n", count: 300)
        let lines = table(name: name).lines(width: nil)
        #expect(lines.count == 3)
        #expect(lines[1].hasPrefix(name) && lines[1].hasSuffix("png"))
        // One long name does not widen the other rows.
        #expect(lines[0].count < 150 && lines[2].count < 150)
        #expect(lines.allSatisfy { $0.last != " " })
    }

    @Test func columnsAreAligned() {
        let lines = table(name: "a").lines(width: nil)
        let ends = lines.map { line in line.range(of: "ratio") ?? line.range(of: "5.67") ?? line.range(of: "12.30") }
            .enumerated().map { index, range in
                range.map { lines[index].distance(from: lines[index].startIndex, to: $0.upperBound) }
            }
        #expect(Set(ends).count == 1 && ends[0] != nil)
    }

    @Test func hostileNamesStayOnTheirLine() {
        let lines = table(name: "a\nb\u{1b}[2J\u{202e}c").lines(width: nil)
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { !$0.contains("\n") && !$0.contains("\u{1b}") && !$0.contains("\u{202e}") })
    }

    @Test func anEmptyTableIsItsHeading() {
        #expect(TextTable([.init("a"), .init("b")]).lines(width: 10) == ["a  b"])
    }

    @Test func numbersAreShort() {
        #expect(fixed(1.005, 2) == "1.00" || fixed(1.005, 2) == "1.01")
        #expect(fixed(-0.004, 2) == "0.00")
        #expect(fixed(12.345, 0) == "12")
        #expect(fixed(.infinity, 1) == "inf" && fixed(-.infinity, 1) == "-inf" && fixed(.nan, 1) == "-")
        #expect(significant(0.000012345) == "1.23e-5")
        #expect(significant(0) == "0")
        #expect(significant(999.6) == "1000")
        #expect(significant(-0.5) == "-0.500")
        #expect(grouped(1_234_567) == "1,234,567" && grouped(-1000) == "-1,000" && grouped(0) == "0")
        #expect(grouped(.min) == "-9,223,372,036,854,775,808")
        #expect(size(9999) == "9,999 B" && size(10_000) == "10.0 KB" && size(2_500_000_000) == "2.50 GB")
        #expect(dimensions([]) == "scalar" && dimensions([3, 4]) == "3x4")
        #expect(count(1, "layer") == "1 layer" && count(0, "layer") == "0 layers" && count(2, "layer") == "2 layers")
    }

    @Test func outputNamesAreDerived() {
        #expect(replacingExtension("a/b.bin", with: "wcz") == "a/b.wcz")
        #expect(replacingExtension("a.b/c", with: "wcz") == "a.b/c.wcz")
        #expect(replacingExtension(".hidden", with: "wcz") == ".hidden.wcz")
        #expect(replacingExtension("m.tar.gz", with: "wcz") == "m.tar.wcz")
    }
}
