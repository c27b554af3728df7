import Testing

@testable import Evaluation

/// Confidence intervals.
struct EstimateTests {
    private func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 5e-4) -> Bool { abs(a - b) < tolerance }

    // Values of table I of Newcombe's first paper of 1998 (two-sided confidence intervals for the single proportion), method 3.
    @Test(arguments: [
        (81.0, 263.0, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
    ])
    func wilsonsIntervalIsThePublishedOne(hits: Double, trials: Double, low: Double, high: Double) {
        let estimate = Estimate(share: hits, of: trials)
        #expect(isClose(estimate.low, low) && isClose(estimate.high, high), "\(estimate)")
        #expect(estimate.value == hits / trials && estimate.method == .wilson)
    }

    @Test func theDifferenceOfEqualSharesHasAnInterval() {
        let same = [Bool](repeating: true, count: 95) + [Bool](repeating: false, count: 5)
        let equal = Estimate(differenceOf: same, same)
        #expect(equal.value == 0 && equal.low < 0 && equal.high > 0 && equal.high < 0.05)
        // Independent ways of failing make a wider one.
        let other = Estimate(differenceOf: same, same.reversed())
        #expect(other.value == 0 && other.high > equal.high)
        let worse = Estimate(differenceOf: same, [Bool](repeating: false, count: 100))
        #expect(isClose(worse.value, 0.95) && worse.low > 0.85 && worse.high <= 1)
    }

    @Test func theBootstrapOfAMeanIsThatOfItsStandardError() {
        let tallies = (0..<400).map { Tally($0.isMultiple(of: 2) ? 1 : 0, 1) }
        let estimates = Bootstrap.estimates([tallies]) { [$0[0][0] / $0[0][1]] }
        // 1.96 times 0.5 by the root of 400.
        #expect(estimates[0].value == 0.5)
        #expect(isClose(estimates[0].low, 0.451, 0.01) && isClose(estimates[0].high, 0.549, 0.01), "\(estimates[0])")
        let again = Bootstrap.estimates([tallies]) { [$0[0][0] / $0[0][1]] }
        #expect(again[0].low == estimates[0].low && again[0].high == estimates[0].high)
    }

    @Test(arguments: [
        ("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("", "abc", 3), ("flaw", "lawn", 2), ("same", "same", 0),
    ])
    func editDistancesAreThoseOfTheTextbook(first: String, second: String, distance: Int) {
        #expect(editDistance(first.utf8.map { Int($0) }, second.utf8.map { Int($0) }) == distance)
    }
}
