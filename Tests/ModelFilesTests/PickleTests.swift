import ModelFiles
import Testing

/// Pickles written by hand: what they may say, and what they may not.
struct PickleTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ write: (inout PickleWriter) -> Void) throws -> ModelFile {
        var writer = PickleWriter()
        write(&writer)
        return try ModelFiles.open(try folder.write(writer.checkpoint()))
    }

    private func error(_ write: (inout PickleWriter) -> Void) throws -> String {
        var writer = PickleWriter()
        write(&writer)
        return try #require(openingError(try folder.write(writer.checkpoint())))
    }

    /// Writes `{"x": value, "w": tensor}`.
    private func beside(_ value: (inout PickleWriter) -> Void, _ writer: inout PickleWriter) {
        writer.op("}")
        writer.op("(")
        writer.string("x")
        value(&writer)
        writer.string("w")
        writer.tensor(shape: [2, 2], strides: [2, 1])
        writer.op("u")
    }

    @Test func callsAreNotRunAndTheTensorsAroundThemAreFound() throws {
        let mark = "\(folder.path)/ran"
        let model = try open { writer in
            beside(
                {
                    $0.global("os", "system")
                    $0.tuple { $0.string("touch \(mark)") }
                    $0.op("R")
                }, &writer)
        }
        #expect(model.tensors.map(\.name) == ["w"])
        #expect(openingError(mark)?.contains("no such file") == true)
    }

    @Test func objectsOfUnknownClassesShowTheirAttributesAndItems() throws {
        let model = try open { writer in
            writer.global("user.code", "State")
            writer.op(")")
            writer.raw([0x81])
            writer.op("}")
            writer.string("weights")
            writer.op("]")
            writer.tensor(shape: [4], strides: [1])
            writer.op("a")
            writer.op("s")
            writer.op("b")
            writer.string("key")
            writer.tensor(shape: [2], strides: [1])
            writer.op("s")
        }
        #expect(model.tensors.map(\.name) == ["weights.0", "key"])
    }

    @Test func anOrderedDictionaryOfPairsIsRead() throws {
        let model = try open { writer in
            writer.global("collections", "OrderedDict")
            writer.tuple {
                $0.op("]")
                $0.op("]")
                $0.op("(")
                $0.string("w")
                $0.tensor(shape: [4], strides: [1])
                $0.op("e")
                $0.op("a")
            }
            writer.op("R")
        }
        #expect(model.tensors.map(\.name) == ["w"])
    }

    @Test func equalNamesAreToldApart() throws {
        let model = try open { writer in
            writer.op("}")
            writer.op("(")
            for name in ["a.b", "a"] {
                writer.string(name)
                if name == "a" {
                    writer.op("}")
                    writer.string("b")
                }
                writer.tensor(shape: [4], strides: [1])
                if name == "a" { writer.op("s") }
            }
            writer.op("u")
        }
        #expect(model.tensors.map(\.name) == ["a.b", "a.b#2"])
    }

    @Test func ofEqualKeysTheLastCounts() throws {
        let model = try open { writer in
            writer.op("}")
            for size in [1, 3] {
                writer.string("w")
                writer.tensor(shape: [size], strides: [1])
                writer.op("s")
            }
        }
        #expect(model.tensors.map(\.shape) == [[3]])
    }

    @Test func aListThatHoldsItselfIsWalkedOnce() throws {
        let model = try open { writer in
            writer.op("]")
            writer.put(0)
            writer.op("(")
            writer.get(0)
            writer.tensor(shape: [4], strides: [1])
            writer.get(0)
            writer.op("e")
        }
        #expect(model.tensors.map(\.name) == ["1"])
    }

    @Test(
        arguments: [
            ([1 << 60, 1 << 60], [1, 1]), ([1 << 60], [1]), ([.max], [.max]), ([2, 2], [.max, .max]), ([5], [1]),
            ([2, 2], [3, 1]),
        ] as [([Int], [Int])])
    func tensorsBeyondTheirStorageAreRefusedByName(shape: [Int], strides: [Int]) throws {
        let error = try error { writer in
            writer.op("}")
            writer.string("big")
            writer.tensor(shape: shape, strides: strides)
            writer.op("s")
        }
        #expect(error.contains("tensor \"big\""))
    }

    @Test(arguments: [(-1, 4), (.max, 4), (1, 4), (0, .max), (0, 5)])
    func offsetsAndStoragesBeyondTheFileAreRefused(offset: Int, elements: Int) throws {
        #expect(
            try error { $0.tensor(shape: [4], strides: [1], offset: offset, elements: elements) }.contains("tensor"))
    }

    @Test func negativeSizesAndStridesAreRefused() throws {
        #expect(try error { $0.tensor(shape: [-4], strides: [1]) }.contains("[-4]"))
        #expect(try error { $0.tensor(shape: [4], strides: [-1]) }.contains("[-1]"))
        #expect(try error { $0.tensor(shape: [1, 1], strides: [1]) }.contains("as many strides as sizes"))
    }

    @Test func aTensorWithoutItsStorageIsRefused() throws {
        #expect(try error { $0.tensor(shape: [4], strides: [1], key: "9") }.contains("storage \"9\""))
    }

    @Test func emptyTensorsMayHaveAnyOtherSizes() throws {
        let model = try open { $0.tensor(shape: [1 << 60, 1 << 60, 0], strides: [0, 0, 1]) }
        #expect(model.tensors[0].extent.length == 0)
        #expect(model.tensors[0].count == 0)
    }

    @Test(arguments: ["", "(", "t", "a", "R", "}R", "Q", "h\u{1}", "I1\n", "]]]s", "}(}u", "Nb", "0", "\u{8}"])
    func brokenProgramsAreRefused(opcodes: String) throws {
        #expect(try error { $0.raw(Array(opcodes.utf8)) }.contains("pickle"))
    }

    @Test func aCheckpointWithoutTensorsIsRefused() throws {
        #expect(try error { $0.op("}") }.contains("expected at least one tensor"))
    }

    @Test func deepNestingIsRefusedWithoutExhaustingTheStack() throws {
        let error = try error { writer in
            writer.raw([UInt8](repeating: UInt8(ascii: "]"), count: 300_000))
            writer.raw([UInt8](repeating: UInt8(ascii: "a"), count: 299_999))
        }
        #expect(error.contains("nested"))
    }

    @Test func nestedTuplesAndTypesAreUnwrappedWithoutRecursion() throws {
        let error = try error { writer in
            for _ in 0..<50_000 {
                writer.global("torch._tensor", "_rebuild_from_type_v2")
                writer.raw(Array("(cx\ny\nN".utf8))
            }
            writer.op(")")
            writer.raw([UInt8](repeating: UInt8(ascii: "t"), count: 50_000))
            writer.op("R")
        }
        #expect(error.contains("pickle"))
    }

    @Test func sharedContainersThatMultiplyAreRefused() throws {
        // 2^60 paths: each list holds the one before twice.
        let error = try error { writer in
            writer.op("]")
            writer.tensor(shape: [4], strides: [1])
            writer.op("a")
            writer.put(0)
            for level in 0..<60 {
                writer.op("]")
                writer.op("(")
                writer.get(level)
                writer.get(level)
                writer.op("e")
                writer.put(level + 1)
            }
        }
        #expect(error.contains("more names than can be listed"))
    }

    @Test func repeatedCopiesOfOneListAreRefused() throws {
        let error = try error { writer in
            writer.op("(")
            writer.raw([UInt8](repeating: UInt8(ascii: "N"), count: 20000))
            writer.op("l")
            writer.put(0)
            for _ in 0..<2000 {
                writer.global("collections", "OrderedDict")
                writer.op("(")
                writer.get(0)
                writer.raw(Array("tR0".utf8))
            }
        }
        #expect(error.contains("copies"))
    }

    @Test func memoEntriesFarApartTakeNoSpace() throws {
        let model = try open { writer in
            writer.tensor(shape: [4], strides: [1])
            writer.put(Int(UInt32.max))
            writer.op("0")
            writer.get(Int(UInt32.max))
        }
        #expect(model.tensors.count == 1)
    }

    @Test func namesDoNotReachTheTerminalAsControls() throws {
        let error = try error { writer in
            writer.op("}")
            writer.string("a\u{1b}[31m\nb")
            writer.tensor(shape: [5], strides: [1])
            writer.op("s")
        }
        #expect(error.contains("a\\u{1b}[31m\\u{a}b"))
    }

    @Test func longNamesAreRefused() throws {
        let error = try error { writer in
            writer.op("}")
            writer.string(String(repeating: "x", count: 5000))
            writer.tensor(shape: [4], strides: [1])
            writer.op("s")
        }
        #expect(error.contains("4096"))
    }

    @Test func tensorsOfUnknownTypesStayAndAreNoted() throws {
        let model = try open { writer in
            beside({ $0.tensor(shape: [4], strides: [1], dtype: "int4") }, &writer)
        }
        #expect(model.tensors.map(\.name) == ["w"])
        #expect(model.notes.count == 1)
        #expect(model.notes.first?.contains("\"x\"") == true)
    }

    // MARK: - Tensors of other classes

    /// `_rebuild_from_type_v2(function, class, arguments, state)`.
    private func subclass(
        _ module: String, _ name: String, _ writer: inout PickleWriter, state: (inout PickleWriter) -> Void
    ) {
        writer.global("torch._tensor", "_rebuild_from_type_v2")
        writer.tuple {
            $0.global("torch._utils", "_rebuild_wrapper_subclass")
            $0.global(module, name)
            $0.tuple { $0.ints([2, 2]) }
            state(&$0)
        }
        writer.op("R")
    }

    @Test func theTensorsInsideOfAWrapperAreListedAsItsParts() throws {
        let model = try open { writer in
            beside(
                {
                    subclass("torchao.dtypes", "AffineQuantizedTensor", &$0) { state in
                        state.op("}")
                        state.string("tensor_impl")
                        subclass("torchao.dtypes", "PlainImpl", &state) { inner in
                            inner.op("}")
                            inner.op("(")
                            inner.string("scale")
                            inner.tensor(shape: [2], strides: [1])
                            inner.string("list")
                            inner.op("]")
                            inner.tensor(shape: [1], strides: [1])
                            inner.op("a")
                            inner.op("u")
                        }
                        state.op("s")
                    }
                }, &writer)
        }
        #expect(model.tensors.map(\.name) == ["x.tensor_impl.scale", "x.tensor_impl.list.0", "w"])
        #expect(model.tensors.map(\.kindHint) == ["part", "part", nil])
    }

    @Test func aDistributedTensorIsItsLocalPart() throws {
        let model = try open { writer in
            beside(
                {
                    // Attributes in slots come second.
                    subclass("torch.distributed.tensor", "DTensor", &$0) { state in
                        state.tuple {
                            $0.op("N")
                            $0.op("}")
                            $0.string("_local_tensor")
                            $0.tensor(shape: [2, 2], strides: [2, 1])
                            $0.op("s")
                        }
                    }
                }, &writer)
        }
        #expect(model.tensors.map(\.name) == ["x._local_tensor", "w"])
        #expect(model.tensors.allSatisfy { $0.kindHint == nil })
    }

    @Test func theAttributesOfASubclassAreListedBesideIt() throws {
        let model = try open { writer in
            beside(
                {
                    $0.global("torch._tensor", "_rebuild_from_type_v2")
                    $0.tuple { call in
                        call.global("torch._utils", "_rebuild_tensor_v2")
                        call.global("user.code", "Scaled")
                        call.tuple { arguments in
                            arguments.tuple {
                                $0.string("storage")
                                $0.global("torch", "FloatStorage")
                                $0.string("0")
                                $0.string("cpu")
                                $0.int(4)
                            }
                            arguments.op("Q")
                            arguments.int(0)
                            arguments.ints([4])
                            arguments.ints([1])
                        }
                        call.op("}")
                        call.string("scale")
                        call.tensor(shape: [1], strides: [1])
                        call.op("s")
                    }
                    $0.op("R")
                }, &writer)
        }
        #expect(model.tensors.map(\.name) == ["x", "x.scale", "w"])
        #expect(model.tensors.map(\.kindHint) == [nil, "part", nil])
    }

    @Test func theArgumentsOfUnknownCallsAreListedAsParts() throws {
        let model = try open { writer in
            writer.op("}")
            writer.string("x")
            writer.global("torch._utils", "_rebuild_sparse_tensor")
            writer.tuple {
                $0.global("torch.serialization", "_get_layout")
                $0.tuple {
                    $0.tensor(shape: [2], strides: [1])
                    $0.tensor(shape: [2], strides: [1], offset: 2)
                    $0.ints([4])
                }
            }
            writer.op("R")
            writer.op("s")
        }
        #expect(model.tensors.map(\.name) == ["x.1.0", "x.1.1"])
        #expect(model.tensors.allSatisfy { $0.kindHint == "part" })
    }
}
