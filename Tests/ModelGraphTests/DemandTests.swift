import Foundation
import ModelGraph
import TestSupport
import Testing

/// Target layers, devices, packed weights.
struct DemandTests {
    private func estimate() throws -> ResourceEstimate {
        try EstimateTests.convolutional.network().inferringShapes().estimate()
    }

    @Test(arguments: [
        ("50%", ["conv1"]), ("1%", ["conv1", "depthwise"]), ("100", ["conv1", "depthwise", "fc"]),
        ("160", ["conv1", "depthwise"]), ("100%", []),
    ])
    func targetLayersAreAboveTheThreshold(threshold: String, expected: [String]) throws {
        let demand = Demand(try estimate(), above: try #require(ComputeThreshold(threshold)))
        #expect(demand.layers.map(\.identifier) == expected)
    }

    @Test(arguments: ["", "-1", "101%", "nan", "inf", "much", "%"])
    func otherThresholdsAreRefused(text: String) { #expect(ComputeThreshold(text) == nil) }

    private func device(_ memory: Int, weights: Int? = nil, rate: Double = 1e6, bandwidth: Double = 1e9) -> Device {
        Device(
            name: "d", memory: memory, weightMemory: weights, memoryBandwidth: bandwidth,
            multiplyAddsPerSecond: ["float32": rate])
    }

    @Test func aDeviceHoldsWhatFitsItsMemory() throws {
        let estimate = try estimate()
        let demand = Demand(estimate, above: ComputeThreshold(share: 0))
        let all = estimate.memoryWithReuse
        #expect(demand.fit(device(all)).holds && !demand.fit(device(all - 1)).holds)
        let apart = device(all - estimate.weightBytes, weights: estimate.weightBytes)
        #expect(demand.fit(apart).holds)
        #expect(!demand.fit(device(all, weights: estimate.weightBytes - 1)).holds)
    }

    @Test func aLayerTakesAsLongAsItsComputeOrItsBytes() throws {
        let estimate = try estimate()
        let demand = Demand(estimate, above: ComputeThreshold(share: 0.5))
        let conv = try #require(demand.layers.first)
        let computeBound = demand.fit(device(1 << 30, rate: 27_648)).runsPerSecond
        #expect(computeBound.map { abs($0 - 1) < 1e-9 } == true)
        let memoryBound = demand.fit(device(1 << 30, rate: 1e12, bandwidth: Double(conv.movedBytes) / 2)).runsPerSecond
        #expect(memoryBound.map { abs($0 - 0.5) < 1e-9 } == true)
        var other = device(1 << 30)
        other.multiplyAddsPerSecond = ["int8": 1e9]
        #expect(demand.fit(other).runsPerSecond == nil)
    }

    @Test func packedWeightsAreRestoredLayerByLayer() throws {
        let estimate = try estimate()
        let packed = PackedWeights(estimate, packed: ["w1": 100, "w3": 50])
        #expect(packed.weightBytes == 100 + 50 + 4 * (16 + 144 + 10))
        #expect(packed.largestLayerBytes == 4 * 432)
    }

    @Test func theBuiltInDevicesAreComplete() throws {
        for device in DeviceList.builtIn.devices {
            #expect(device.memory > 0 && !device.multiplyAddsPerSecond.isEmpty && device.source?.isEmpty == false)
        }
        // They obey the rules for lists in files.
        let folder = try TemporaryFolder()
        let bytes = Array(try JSONEncoder().encode(DeviceList.builtIn))
        #expect(try DeviceList(path: try folder.write(bytes, "devices.json")) == .builtIn)
    }

    @Test(
        arguments: [
            ("[]", "JSON of the documented form"), ("{", "JSON"), (#"{"devices":[{"name":"d"}]}"#, "memory"),
            (#"{"devices":[{"name":"d","memory":-1,"memoryBandwidth":1,"multiplyAddsPerSecond":{}}]}"#, "\"d\""),
            (
                #"{"devices":[{"name":"d","memory":1,"memoryBandwidth":0,"multiplyAddsPerSecond":{}}]}"#,
                "memoryBandwidth"
            ),
            (#"{"devices":[{"name":"d","memory":1,"memoryBandwidth":1,"multiplyAddsPerSecond":{"int4":1}}]}"#, "int4"),
        ])
    func badListsAreRefused(json: String, word: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Array(json.utf8), "devices.json")
        let error = #expect(throws: GraphError.self) { try DeviceList(path: path) }
        #expect(error.map { $0.description.hasPrefix(path) && $0.description.contains(word) } == true)
    }
}
