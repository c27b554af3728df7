import FoundationEssentials
import ModelFiles

/// A device that might run a network, and what it offers.
public struct Device: Hashable, Sendable, Codable {
    /// What it is called.
    public var name: String
    /// Bytes of memory for activations, and for weights unless it has memory of its own for those.
    public var memory: Int
    /// Bytes of memory for weights only, such as flash; `nil` when they are in `memory`.
    public var weightMemory: Int?
    /// Bytes a second between memory and what computes.
    public var memoryBandwidth: Double
    /// Multiply-adds a second at most, by the type that is computed in ("float32", "float16", "int8").
    public var multiplyAddsPerSecond: [String: Double]
    /// Where the figures are from.
    public var source: String?

    public init(
        name: String, memory: Int, weightMemory: Int? = nil, memoryBandwidth: Double,
        multiplyAddsPerSecond: [String: Double], source: String? = nil
    ) {
        self.name = name
        self.memory = memory
        self.weightMemory = weightMemory
        self.memoryBandwidth = memoryBandwidth
        self.multiplyAddsPerSecond = multiplyAddsPerSecond
        self.source = source
    }
}

/// A list of devices, as `docs/graph.md` specifies it.
public struct DeviceList: Hashable, Sendable, Codable {
    public var devices: [Device]

    /// Reads a list.
    ///
    /// - Throws: `GraphError` for other JSON, and for amounts that no device has.
    public init(path: String) throws(GraphError) {
        let file = try readingFile { () throws(ModelFileError) in try MappedFile(path) }
        guard file.size <= 1 << 24 else {
            throw .graph(source: path, part: "devices", expected: "at most \(1 << 24) bytes", found: "\(file.size)")
        }
        self = try decoded(file.withAllBytes { Array($0) }, source: path, part: "devices")
        for device in devices {
            let part = "device \(quoted(device.name))"
            guard device.memory > 0, device.weightMemory ?? 1 > 0, device.memory < 1 << 60,
                device.weightMemory ?? 0 < 1 << 60
            else {
                throw .graph(
                    source: path, part: part, expected: "memory of 1 byte to 2^60",
                    found: "\(device.memory) and \(device.weightMemory ?? 0)")
            }
            guard device.memoryBandwidth > 0, device.memoryBandwidth.isFinite else {
                throw .graph(
                    source: path, part: part, expected: "a memoryBandwidth above 0", found: "\(device.memoryBandwidth)")
            }
            for (type, rate) in device.multiplyAddsPerSecond {
                guard NumericType(rawValue: type) != nil, rate > 0, rate.isFinite else {
                    let types = NumericType.allCases.map(\.rawValue).joined(separator: ", ")
                    throw .graph(
                        source: path, part: part, expected: "multiply-adds above 0 by \(types)",
                        found: "\(type): \(rate)")
                }
            }
        }
    }

    init(devices: [Device]) { self.devices = devices }

    /// A few real devices, from a microcontroller to an accelerator of a data center.
    ///
    /// Vendors count a multiply-add as two operations; peaks with sparsity are not used.
    public static let builtIn = DeviceList(devices: [
        Device(
            name: "STM32H743", memory: 1_048_576, weightMemory: 2_097_152, memoryBandwidth: 1.92e9,
            multiplyAddsPerSecond: ["float32": 0.48e9, "int8": 0.96e9],
            source:
                "ST DS12110: 480 MHz Cortex-M7, 1 MB of RAM, 2 MB of flash; one float32 or two 16-bit multiply-adds a cycle"
        ),
        Device(
            name: "Raspberry Pi 4 (4 GB)", memory: 4 << 30, memoryBandwidth: 12.8e9,
            multiplyAddsPerSecond: ["float32": 24e9, "int8": 48e9],
            source:
                "Raspberry Pi 4 product brief: 4 Cortex-A72 at 1.5 GHz, LPDDR4-3200 of 32 bits; 4 float32 or 8 int8 a cycle"
        ),
        Device(
            name: "Raspberry Pi 5 (8 GB)", memory: 8 << 30, memoryBandwidth: 17.1e9,
            multiplyAddsPerSecond: ["float32": 76.8e9, "float16": 153.6e9, "int8": 307.2e9],
            source:
                "Raspberry Pi 5 product brief: 4 Cortex-A76 at 2.4 GHz, LPDDR4X-4267 of 32 bits; two 128-bit units, int8 by SDOT"
        ),
        Device(
            name: "Jetson Orin Nano Super (8 GB)", memory: 8 << 30, memoryBandwidth: 102e9,
            multiplyAddsPerSecond: ["float32": 2.6e12, "float16": 8.4e12, "int8": 16.7e12],
            source:
                "NVIDIA Jetson Orin Nano Super: 102 GB/s, 33 int8 TOPS dense, 17 float16 TFLOPS, 1024 CUDA cores at 1.02 GHz"
        ),
        Device(
            name: "Cambricon MLU270-S4", memory: 16 << 30, memoryBandwidth: 102e9,
            multiplyAddsPerSecond: ["int8": 64e12],
            source: "Cambricon MLU270-S4 product page: 128 int8 TOPS, 16 GB of DDR4, 102 GB/s"),
        Device(
            name: "NVIDIA T4", memory: 16 << 30, memoryBandwidth: 320e9,
            multiplyAddsPerSecond: ["float32": 4.05e12, "float16": 32.5e12, "int8": 65e12],
            source: "NVIDIA T4 datasheet: 8.1 float32 TFLOPS, 65 float16 TFLOPS, 130 int8 TOPS, 320 GB/s"),
        Device(
            name: "NVIDIA A100 (80 GB, SXM)", memory: 80 << 30, memoryBandwidth: 2039e9,
            multiplyAddsPerSecond: ["float32": 9.75e12, "float16": 156e12, "int8": 312e12],
            source: "NVIDIA A100 datasheet: 19.5 float32 and 312 float16 TFLOPS, 624 int8 TOPS, 2,039 GB/s"),
    ])
}
