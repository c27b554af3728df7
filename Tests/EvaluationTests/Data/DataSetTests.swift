import Execution
import ModelFiles
import ModelGraph
import TestSupport
import Testing
import WeightArchive

@testable import Evaluation

/// Samples in every form that docs/data.md describes.
struct DataSetTests {
    private let vector = NetworkPort(name: "features", type: .f32, shape: [.symbol("batch"), .size(2)])

    private func floats(_ values: [Float]) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

    private func array(_ name: String, _ type: DType, _ shape: [Int], _ bytes: [UInt8]) -> NamedArray {
        NamedArray(name: name, type: type, shape: shape, bytes: bytes)
    }

    private func open(
        _ arrays: [NamedArray], as name: String = "data.npz", for ports: [NetworkPort], labels: String? = nil,
        in folder: TemporaryFolder
    ) throws -> DataSet {
        try writeArrays(arrays, to: folder[name], force: true, inputs: [])
        return try DataSet.open(folder[name], labels: labels, for: ports, scaling: PictureScaling())
    }

    @Test(arguments: ["features", "x"])
    func rowsOfArraysAreSamples(name: String) throws {
        let folder = try TemporaryFolder()
        let data = try open(
            [
                array(name, .f32, [3, 2], floats([1, 2, 3, 4, 5, 6])),
                array("y", .i64, [3], [2, 0, 1].flatMap { littleEndian(Int64($0)) }), array("else", .u8, [1], [7]),
            ], for: [vector], in: folder)
        #expect(data.count == 3 && data.hasLabels && data.joins)
        let sample = try data.sample(1)
        #expect(sample.inputs == ["features": TensorValue(type: .f32, shape: [1, 2], bytes: floats([3, 4]))])
        #expect(sample.label == [0])
    }

    @Test func scalarsAreForAllSamples() throws {
        let rate = NetworkPort(name: "rate", type: .f32, shape: [])
        let folder = try TemporaryFolder()
        let data = try open(
            [array("features", .f32, [2, 2], floats([1, 2, 3, 4])), array("rate", .f32, [], floats([16]))],
            for: [vector, rate], in: folder)
        #expect(!data.hasLabels && data.shared.keys.sorted() == ["rate"])
        #expect(try data.sample(0).inputs.keys.sorted() == ["features"])
    }

    @Test func samplesMayHaveArraysOfTheirOwn() throws {
        let state = NetworkPort(name: "state", type: .f32, shape: [.size(1)])
        let folder = try TemporaryFolder()
        let data = try open(
            [
                array("features/0", .f32, [1, 2], floats([1, 2])), array("state", .f32, [1], floats([9])),
                array("features/1", .f32, [2, 2], floats([3, 4, 5, 6])), array("y/0", .u8, [1], [1]),
                array("y/1", .u8, [2], [0, 1]),
            ], for: [vector, state], in: folder)
        #expect(data.count == 2 && data.hasLabels && !data.joins && data.shared.count == 1)
        #expect(try data.sample(1).inputs["features"]?.shape == [2, 2])
        #expect(try data.sample(1).label == [0, 1])
    }

    @Test func oneArrayTakesLabelsFromAnotherFile() throws {
        let folder = try TemporaryFolder()
        try writeArrays([array("y", .u8, [2], [5, 6])], to: folder["y.npy"], force: true, inputs: [])
        let data = try open(
            [array("x", .f32, [2, 2], floats([1, 2, 3, 4]))], as: "x.npy", for: [vector], labels: folder["y.npy"],
            in: folder)
        #expect(try data.sample(1).label == [6] && data.count == 2)
    }

    @Test func mistakesNameWhatWasExpectedAndFound() throws {
        let folder = try TemporaryFolder()
        func check(_ arrays: [NamedArray], _ words: String...) {
            let error = #expect(throws: DataError.self) { try open(arrays, for: [vector], in: folder) }
            let text = error?.description ?? ""
            #expect(words.allSatisfy(text.contains) && !text.contains("\n"), "\(text)")
        }
        check([array("z", .f32, [3, 2], floats([1, 2, 3, 4, 5, 6]))], "features or x", "F32 batchx2", "found z")
        check([array("x", .f32, [2, 3], floats([1, 2, 3, 4, 5, 6]))], "F32 batchx2", "F32 2x3")
        check([array("x", .f64, [1, 2], [UInt8](repeating: 0, count: 16))], "F64 1x2")
        check([array("x", .f32, [0, 2], [])], "samples", "none")
        check(
            [array("x", .f32, [2, 2], floats([1, 2, 3, 4])), array("y", .u8, [3], [1, 2, 3])], "2, one for each",
            "found 3")
        check(
            [
                array("x/0", .f32, [1, 2], floats([1, 2])), array("x/1", .f32, [1, 2], floats([1, 2])),
                array("y/0", .u8, [1], [1]),
            ], "\"y/0\"", "expected 2", "found 1")
        try folder.write([0x1f, 0x8b, 8, 0, 0, 0], "data.gz")
        let error = #expect(throws: DataError.self) {
            try DataSet.open(folder["data.gz"], labels: nil, for: [vector], scaling: PictureScaling())
        }
        #expect(error?.description.contains("gunzip") == true)
    }
}

/// IDX files, as MNIST's.
struct IDXTests {
    private func idx(_ type: UInt8, _ sizes: [UInt32], _ bytes: [UInt8]) -> [UInt8] {
        [0, 0, type, UInt8(sizes.count)] + sizes.flatMap { littleEndian($0).reversed() } + bytes
    }

    private let pixels = NetworkPort(name: "image", type: .f32, shape: [.unknown, .size(1), .size(2), .size(2)])

    private func open(
        _ folder: TemporaryFolder, labels: String? = nil, for port: NetworkPort? = nil,
        _ scaling: PictureScaling = PictureScaling()
    ) throws -> DataSet {
        try DataSet.open(folder["t-images-idx3-ubyte"], labels: labels, for: [port ?? pixels], scaling: scaling)
    }

    @Test func picturesAreScaledAndLabelsLieBesideThem() throws {
        let folder = try TemporaryFolder()
        try folder.write(idx(8, [2, 2, 2], [0, 51, 102, 255, 1, 2, 3, 4]), "t-images-idx3-ubyte")
        #expect(try !open(folder).hasLabels)
        try folder.write(idx(8, [2], [7, 3]), "t-labels-idx1-ubyte")
        let data = try open(folder, PictureScaling(mean: [0.5], deviation: [0.5]))
        let sample = try data.sample(0)
        #expect(sample.inputs["image"]?.shape == [1, 1, 2, 2] && sample.label == [7])
        let numbers = try #require(sample.inputs["image"]?.numbers)
        #expect(zip(numbers, [-1, -0.6, -0.2, 1]).allSatisfy { abs($0 - $1) < 1e-6 })
        // The same pictures in one row, and as they are.
        let flat = NetworkPort(name: "image", type: .f32, shape: [.unknown, .size(4)])
        #expect(try open(folder, for: flat).sample(1).inputs["image"]?.shape == [1, 4])
        let raw = NetworkPort(name: "image", type: .u8, shape: [.unknown, .size(2), .size(2)])
        #expect(try open(folder, for: raw).sample(1).inputs["image"]?.bytes == [1, 2, 3, 4])
    }

    @Test func numbersAreBigEndian() throws {
        let folder = try TemporaryFolder()
        try folder.write(idx(8, [1, 2, 2], [0, 0, 0, 0]), "t-images-idx3-ubyte")
        let labels = try folder.write(idx(0x0d, [1, 2], [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]), "labels")
        #expect(try open(folder, labels: labels).sample(0).label == [1, -2])
    }

    @Test func sizesThatAreNotThoseOfTheFileAreRefused() throws {
        let folder = try TemporaryFolder()
        for file in [
            idx(8, [2, 2, 2], [1, 2, 3]), idx(8, [0xffff_ffff, 0xffff_ffff, 0xffff_ffff], []),
            idx(8, [1, 2, 2], [1, 2, 3, 4, 5]),
            [0, 0, 8, 200, 0, 0, 0, 1], idx(8, [1, 3, 2], [1, 2, 3, 4, 5, 6]), idx(8, [0, 2, 2], []),
        ] {
            try folder.write(file, "t-images-idx3-ubyte")
            #expect(throws: DataError.self) { _ = try open(folder).sample(0) }
        }
        try folder.write(idx(8, [1, 2, 2], [1, 2, 3, 4]), "t-images-idx3-ubyte")
        let labels = try folder.write(idx(8, [2], [1, 2]), "labels")
        #expect(throws: DataError.self) { try open(folder, labels: labels) }
    }
}

/// Folders of files with a list of labels.
struct FolderDataSetTests {
    private let vector = NetworkPort(name: "features", type: .f32, shape: [.symbol("batch"), .size(2)])

    private func folder(_ list: String?) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, value) in [("b.npy", Float(2)), ("a.npy", 1)] {
            let bytes = [value, 0].flatMap { littleEndian($0.bitPattern) }
            try writeArrays(
                [NamedArray(name: "x", type: .f32, shape: [2], bytes: bytes)], to: folder[name], force: true, inputs: []
            )
        }
        if let list { try folder.write(Array(list.utf8), "labels.csv") }
        return folder
    }

    private func open(_ folder: TemporaryFolder) throws -> DataSet {
        try DataSet.open(folder.path, labels: nil, for: [vector], scaling: PictureScaling())
    }

    @Test func theListSaysWhichFilesAndLabels() throws {
        let folder = try folder("file,label\r\nb.npy,3\r\n\"a.npy\", 1 2\r\n\r\n")
        defer { withExtendedLifetime(folder) {} }
        let data = try open(folder)
        #expect(data.count == 2 && data.hasLabels)
        #expect(try data.sample(0).inputs["features"]?.numbers == [2, 0] && data.sample(0).label == [3])
        #expect(try data.sample(1).label == [1, 2] && data.sample(1).inputs["features"]?.shape == [1, 2])
    }

    @Test func withoutAListAllFilesAreSamplesByName() throws {
        let folder = try folder(nil)
        defer { withExtendedLifetime(folder) {} }
        let data = try open(folder)
        #expect(data.count == 2 && !data.hasLabels)
        #expect(try data.sample(0).inputs["features"]?.numbers == [1, 0])
    }

    @Test(arguments: [
        ("a.npy,1\nb.npy,many\n", "line 2"), ("a.npy\n", "no comma"), ("../a.npy,1\n", "in the folder"),
        ("/etc/passwd,1\n", "in the folder"), ("", "samples"), ("file,label\n", "samples"),
    ])
    func badListsAreRefused(list: String, words: String) throws {
        let folder = try folder(list)
        let error = #expect(throws: DataError.self) { try open(folder) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func filesThatAreMissingOrOfAnotherKindAreNamed() throws {
        for name in ["none.npy", "labels.csv"] {
            let folder = try folder("\(name),1\n")
            defer { withExtendedLifetime(folder) {} }
            let data = try open(folder)
            let error = #expect(throws: DataError.self) { try data.sample(0) }
            #expect(error?.description.contains(name) == true)
        }
    }
}
