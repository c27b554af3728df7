import Foundation
import TestSupport
import Testing
import WeightArchive

/// Forged files of version 3, whose hashes all fit, are refused by wcodec and by `docs/decode.py`.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct PlaneRefusalTests {
    /// A field of a golden file's manifest, and what a forger writes there.
    struct Forgery: Codable, Sendable {
        let golden: String
        let path: [String]
        /// JSON; "" removes the field.
        let value: String
        /// What the error must name.
        let part: String

        init(_ golden: String, _ path: String, _ value: String, _ part: String) {
            self.golden = golden
            self.path = path.split(separator: ".").map(String.init)
            self.value = value
            self.part = part
        }

        var name: String { "\(golden): \(path.joined(separator: ".")) = \(value)" }
    }

    // In a path, `packed` of `tensors` is the first tensor that is packed.
    private static let forgeries: [Forgery] = {
        let (split, sorted, centers, image) = (
            "trellis-64-split", "trellis-sorted-both", "trellis-centers", "trellis-8-image"
        )
        var forgeries: [Forgery] = []
        func add(_ golden: String, _ path: String, _ values: [String], _ part: String) {
            forgeries += values.map { Forgery(golden, path, $0, part) }
        }
        let (packed, planes, quantizer) = (
            "tensors.packed", "tensors.packed.packed.planes", "tensors.packed.packed.quantizer"
        )
        add(split, "version", ["1", "2", "4", "0"], "version")
        add(split, planes, ["[]", ""], "tensor")
        add(split, "\(planes).0.stream", ["-1", "1", "9223372036854775807", "4294967296"], "stream")
        add(split, "\(planes).1.stream", ["0", "2", "-1"], "stream")
        add(split, "\(planes).0.streams", ["0", "-1", "2", "3", "9223372036854775807"], "stream")
        add(split, "\(planes).0.bits", ["0", "1", "3", "8", "17", "-1"], "tensor")
        add(split, "\(planes).0.shape", [#""layer""#, #""channels""#, #""strip""#, #""round""#], "tensor")
        add(
            split, "\(planes).0.count",
            ["0", "-1", "1", "10979", "10981", "19200", "1099511627776", "9223372036854775807", ""],
            "tensor")
        add(split, "\(planes).1.count", ["8219", "8221"], "tensor")
        add(
            split, "\(quantizer).states", ["0", "-1", "1", "2", "7", "8", "65", "128", "9223372036854775807", ""],
            "tensor")
        add(split, "\(quantizer).name", [#""uniform""#, #""fixed""#, #""exact""#, #""delta""#, #""other""#], "tensor")
        add(split, "\(quantizer).sorted", [#""rows""#, #""channels""#, #""both""#, #""""#], "tensor")
        add(split, "\(quantizer).centers", [#""channels""#, #""places""#, #""both""#], "tensor")
        add(
            split, "\(packed).packed.parameters", ["[0, 3]", "[0, 0]", "[0, 5]", "[1, 3]", "[-1, 4]", "[4, 4]"],
            "tensor")
        add(sorted, "\(quantizer).sorted", [#""channels""#, ""], "tensor")
        add(sorted, "\(quantizer).centers", [#""channels""#, ""], "tensor")
        add(sorted, "\(planes).0.count", ["4608", "5478", "5480"], "tensor")
        add(centers, "\(quantizer).centers", [#""places""#, ""], "tensor")
        add(centers, "\(planes).0.shape", [#""run""#], "tensor")
        add("trellis-steps", "\(quantizer).steps", [#""places""#, #""both""#, ""], "tensor")
        add(split, "\(quantizer).steps", [#""channels""#], "tensor")
        let predicted = "trellis-predicted"
        add(predicted, "\(quantizer).order", ["0", "-1", "5", "9223372036854775807", ""], "tensor")
        add(predicted, "\(quantizer).lag", ["0", "-1", "96", "9223372036854775807", ""], "tensor")
        add(predicted, "\(quantizer).sorted", [#""channels""#], "tensor")
        add(predicted, "\(quantizer).centers", [#""places""#], "tensor")
        add(predicted, "\(planes).0.shape", [#""channels""#], "tensor")
        add(split, "\(quantizer).order", ["1"], "tensor")
        add(split, "\(quantizer).lag", ["1"], "tensor")
        add(image, "streams", ["[]"], "stream")
        // A film of two models: the first packed tensor begins it, the last one ends another.
        let (film, exact, last) = ("film-uniform", "film-exact", "tensors.7.packed.planes.0")
        let first = ["1", "-1", "2", "9223372036854775807", ""]
        add(film, "\(planes).0.frame", first, "tensor")
        add(film, "\(planes).0.streams", ["0", "2", "-1"], "tensor")
        add(film, "\(planes).0.shape", [#""rows""#, #""strip""#, #""channels""#], "tensor")
        add(film, "\(last).frame", ["0", "2", "-1", "9223372036854775807", ""], "tensor")
        add(film, "\(last).stream", ["0", "1", "3", "4", "-1", "9223372036854775807"], "tensor")
        add(film, "\(last).bits", ["4", "8"], "tensor")
        add(film, "\(last).block", ["[1, 1, 1, 1]", "[80, 32, 1, 1]", "[]", ""], "tensor")
        add(film, "streams.0.frames", ["1", "3", "0", "1000000000"], "stream")
        add(film, "\(quantizer).name", [#""trellis""#, #""exact""#, #""bytes""#, #""delta""#], "tensor")
        add(exact, "\(quantizer).name", [#""uniform""#, #""exact""#, #""delta""#, #""trellis""#], "tensor")
        add(exact, "\(planes).0.width", ["0", "-1", "4", "6", "61", "9223372036854775807", ""], "tensor")
        add(exact, "\(planes).0.count", ["0", "59", "61", "30", "9223372036854775807", ""], "tensor")
        add(exact, "\(planes).0.shape", [#""strip""#, #""layer""#, #""run""#], "tensor")
        add(image, "\(planes).0.frame", ["0", "1"], "tensor")
        add(split, "\(planes).0.width", ["5"], "tensor")
        return forgeries
    }()

    /// The forged files, in the order of the forgeries, as one run of Python makes them.
    private func forge(_ forgeries: [Forgery], _ folder: TemporaryFolder) throws -> [String] {
        let script = """
            import json, os, sys
            sys.path.insert(0, sys.argv[1])
            import make_golden
            for number, forgery in enumerate(json.load(open(sys.argv[2]))):
                def change(manifest):
                    value = manifest
                    *keys, last = forgery["path"]
                    for key in keys:
                        if value is manifest["tensors"] and key == "packed":
                            value = next(tensor for tensor in value if "packed" in tensor)
                        else:
                            value = value[int(key) if isinstance(value, list) else key]
                    if forgery["value"]:
                        value[last] = json.loads(forgery["value"])
                    else:
                        del value[last]
                source = os.path.join(sys.argv[1], "v3", forgery["golden"] + ".wcz")
                with open(os.path.join(sys.argv[3], str(number)), "wb") as file:
                    file.write(make_golden.rewrite(source, change))
            """
        try JSONEncoder().encode(forgeries).write(to: URL(filePath: folder["forgeries.json"]))
        let golden = Python.repository.appending(path: "Tests/FormatTests/Golden").path
        let made = try Python.run(["-c", script, golden, folder["forgeries.json"], folder.path])
        try #require(made.status == 0, "\(made.output)")
        return forgeries.indices.map { folder["\($0)"] }
    }

    @Test func oneWrongFieldIsAnError() async throws {
        let folder = try TemporaryFolder()
        let paths = try forge(Self.forgeries, folder)
        for (forgery, path) in zip(Self.forgeries, paths) {
            let error = await #expect(throws: (any Error).self, "\(forgery.name)") {
                try await Unpacker(PackedModel(path)).unpack(to: folder["out"], threads: 1, force: false)
            }
            let message = error.map { "\($0)" } ?? ""
            #expect(message.contains(forgery.part) && !message.contains("\n"), "\(forgery.name): \(message)")
            #expect(!FileManager.default.fileExists(atPath: folder["out"]), "\(forgery.name)")
        }
        let failures = try Python.decode(paths.map { ($0, folder["python"]) })
        for (forgery, failure) in zip(Self.forgeries, failures) { #expect(failure != nil, "\(forgery.name)") }
    }

    @Test func theSameWithoutAForgeryIsTaken() async throws {
        let folder = try TemporaryFolder()
        // That all entries are stored is as good.
        let forgery = Forgery("trellis-64-split", "medium", #""smell""#, "")
        let path = try forge([forgery], folder)[0]
        try await Unpacker(PackedModel(path)).unpack(to: folder["out"], threads: 1, force: false)
        #expect(try Python.decode([(path, folder["python"])]) == [nil])
        #expect(try contents(folder["out"]) == contents(folder["python"]))
    }

    @Test func whatIsCompressedAlreadyIsNotDeflated() async throws {
        let folder = try TemporaryFolder()
        let script = """
            import sys, zipfile
            sys.path.insert(0, sys.argv[1])
            import make_golden
            source = f"{sys.argv[1]}/{sys.argv[3]}.wcz"
            data = make_golden.rewrite(source, compression=zipfile.ZIP_DEFLATED, only=sys.argv[4])
            with open(sys.argv[2], "wb") as file:
                file.write(data)
            """
        let golden = Python.repository.appending(path: "Tests/FormatTests/Golden").path
        for entry in ["manifest.json", "exact.safetensors", "skeleton/model.safetensors", "parameters.png"] {
            for file in ["v1/image-8", "v3/trellis-8-image"] {
                let isTaken = entry != "parameters.png"
                let made = try Python.run(["-c", script, golden, folder["m.wcz"], file, entry])
                try #require(made.status == 0, "\(made.output)")
                var error: (any Error)?
                do {
                    try await Unpacker(PackedModel(folder["m.wcz"])).unpack(to: folder["out"], threads: 1, force: true)
                } catch let caught { error = caught }
                #expect((error == nil) == isTaken, "\(file) \(entry): \(error.map { "\($0)" } ?? "")")
                #expect(isTaken || "\(error.map { "\($0)" } ?? "")".contains("stored"), "\(file) \(entry)")
                let failure = try Python.decode([(folder["m.wcz"], folder["\(entry.count)\(file.utf8.count)"])])[0]
                #expect((failure == nil) == isTaken, "\(file) \(entry): \(failure ?? "")")
            }
        }
    }
}
