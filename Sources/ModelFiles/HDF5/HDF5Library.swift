import Glibc
import Synchronization

/// libhdf5, when this machine has it.
///
/// It is loaded at run time, so that neither building nor the other formats need it. The prototypes are those of version
/// 1.10.5 and later (`hid_t` is `Int64`, `hsize_t` and `haddr_t` are `UInt64`).
final class HDF5Library: @unchecked Sendable {
    /// A dataspace that stands for all of a dataset (`H5S_ALL`), and the default of every property list (`H5P_DEFAULT`).
    static let all: Int64 = 0
    /// An address that is none (`HADDR_UNDEF`).
    static let noAddress = UInt64.max

    typealias Close = @convention(c) (Int64) -> Int32
    typealias Visitor =
        @convention(c) (Int64, UnsafePointer<CChar>?, UnsafeRawPointer?, UnsafeMutableRawPointer?) -> Int32

    private let silenceErrors: SilenceErrorsFunction
    let openFile: OpenFileFunction
    let closeFile: Close
    let openObject: OpenObjectFunction
    let closeObject: Close
    let kindOfObject: KindOfObjectFunction
    let objectInfo: ObjectInfoFunction
    let visitLinks: VisitLinksFunction
    let attributeExists: AttributeExistsFunction
    let linkExists: LinkExistsFunction

    let datasetType: DatasetTypeFunction
    let datasetSpace: DatasetSpaceFunction
    let datasetProperties: DatasetPropertiesFunction
    let datasetOffset: DatasetOffsetFunction
    let datasetStorage: DatasetStorageFunction
    let read: ReadFunction
    let write: WriteFunction
    let chunkCount: ChunkCountFunction
    let chunkInfo: ChunkInfoFunction
    /// Nil before libhdf5 1.14.
    let visitChunks: VisitChunksFunction?
    let writeChunk: WriteChunkFunction

    let closeType: Close
    let typeClass: TypeClassFunction
    let typeSize: TypeSizeFunction
    let typeOrder: TypeOrderFunction
    let typeSign: TypeSignFunction
    let floatFields: FloatFieldsFunction
    let floatBias: FloatBiasFunction

    let closeSpace: Close
    let spaceKind: SpaceKindFunction
    let spaceRank: SpaceRankFunction
    let spaceSizes: SpaceSizesFunction
    let makeSpace: MakeSpaceFunction
    let selectBlock: SelectBlockFunction

    let closeProperties: Close
    let layout: LayoutFunction
    let externalCount: ExternalCountFunction
    let chunkSizes: ChunkSizesFunction
    let filterCount: FilterCountFunction
    let filter: FilterFunction
    let filterIsAvailable: FilterIsAvailableFunction
    let filterInfo: FilterInfoFunction

    private static let names = [
        "libhdf5_serial.so.103", "libhdf5_serial.so.310", "libhdf5_serial.so", "libhdf5.so.103", "libhdf5.so.200",
        "libhdf5.so.310", "libhdf5.so",
    ]

    // The serial library must not be called from two threads at once.
    private static let shared = Mutex<HDF5Library?>(nil)

    /// Calls `body` with the library, which nobody else uses meanwhile.
    ///
    /// - Parameters:
    ///   - path: the file that needs it, for errors.
    ///   - body: what to do; it must not call this function.
    /// - Throws: ``ModelFileError/unreadable(path:reason:)`` without the library, and what `body` throws.
    static func with<Result>(
        path: String, _ body: (HDF5Library) throws(ModelFileError) -> Result
    ) throws(ModelFileError) -> Result {
        let result: Swift.Result<Result, ModelFileError> = shared.withLock { library in
            for name in names where library == nil { library = HDF5Library(name) }
            guard let library else {
                return .failure(
                    .unreadable(
                        path: path,
                        reason:
                            "HDF5 files need libhdf5 1.10.5 or later, found none (Debian 12: apt install libhdf5-103-1)"
                    ))
            }
            // The setting is a thread's own.
            _ = library.silenceErrors(0, nil, nil)
            do throws(ModelFileError) { return .success(try body(library)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private init?(_ name: String) {
        // Files are read as they are, or are our own. Their locks fail on some network drives, and live on in programs that were
        // started meanwhile, which inherit the library's descriptors.
        setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0)
        guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { return nil }
        func function<Function>(_ names: String..., as type: Function.Type) -> Function? {
            for name in names { if let symbol = dlsym(handle, name) { return unsafeBitCast(symbol, to: type) } }
            return nil
        }
        typealias Start = @convention(c) () -> Int32
        // What a damaged file left open would keep the library from closing down.
        guard let stayOpen = function("H5dont_atexit", as: Start.self), stayOpen() >= 0,
            let start = function("H5open", as: Start.self),
            let silenceErrors = function("H5Eset_auto2", as: SilenceErrorsFunction.self),
            let openFile = function("H5Fopen", as: OpenFileFunction.self),
            let closeFile = function("H5Fclose", as: Close.self),
            let openObject = function("H5Oopen", as: OpenObjectFunction.self),
            let closeObject = function("H5Oclose", as: Close.self),
            let kindOfObject = function("H5Iget_type", as: KindOfObjectFunction.self),
            let objectInfo = function("H5Oget_info3", "H5Oget_info2", as: ObjectInfoFunction.self),
            let visitLinks = function("H5Literate2", "H5Literate1", "H5Literate", as: VisitLinksFunction.self),
            let attributeExists = function("H5Aexists", as: AttributeExistsFunction.self),
            let linkExists = function("H5Lexists", as: LinkExistsFunction.self),
            let datasetType = function("H5Dget_type", as: DatasetTypeFunction.self),
            let datasetSpace = function("H5Dget_space", as: DatasetSpaceFunction.self),
            let datasetProperties = function("H5Dget_create_plist", as: DatasetPropertiesFunction.self),
            let datasetOffset = function("H5Dget_offset", as: DatasetOffsetFunction.self),
            let datasetStorage = function("H5Dget_storage_size", as: DatasetStorageFunction.self),
            let read = function("H5Dread", as: ReadFunction.self),
            let write = function("H5Dwrite", as: WriteFunction.self),
            let chunkCount = function("H5Dget_num_chunks", as: ChunkCountFunction.self),
            let chunkInfo = function("H5Dget_chunk_info", as: ChunkInfoFunction.self),
            let writeChunk = function("H5Dwrite_chunk", as: WriteChunkFunction.self),
            let closeType = function("H5Tclose", as: Close.self),
            let typeClass = function("H5Tget_class", as: TypeClassFunction.self),
            let typeSize = function("H5Tget_size", as: TypeSizeFunction.self),
            let typeOrder = function("H5Tget_order", as: TypeOrderFunction.self),
            let typeSign = function("H5Tget_sign", as: TypeSignFunction.self),
            let floatFields = function("H5Tget_fields", as: FloatFieldsFunction.self),
            let floatBias = function("H5Tget_ebias", as: FloatBiasFunction.self),
            let closeSpace = function("H5Sclose", as: Close.self),
            let spaceKind = function("H5Sget_simple_extent_type", as: SpaceKindFunction.self),
            let spaceRank = function("H5Sget_simple_extent_ndims", as: SpaceRankFunction.self),
            let spaceSizes = function("H5Sget_simple_extent_dims", as: SpaceSizesFunction.self),
            let makeSpace = function("H5Screate_simple", as: MakeSpaceFunction.self),
            let selectBlock = function("H5Sselect_hyperslab", as: SelectBlockFunction.self),
            let closeProperties = function("H5Pclose", as: Close.self),
            let layout = function("H5Pget_layout", as: LayoutFunction.self),
            let externalCount = function("H5Pget_external_count", as: ExternalCountFunction.self),
            let chunkSizes = function("H5Pget_chunk", as: ChunkSizesFunction.self),
            let filterCount = function("H5Pget_nfilters", as: FilterCountFunction.self),
            let filter = function("H5Pget_filter2", as: FilterFunction.self),
            let filterIsAvailable = function("H5Zfilter_avail", as: FilterIsAvailableFunction.self),
            let filterInfo = function("H5Zget_filter_info", as: FilterInfoFunction.self),
            start() >= 0
        else {
            dlclose(handle)
            return nil
        }
        self.silenceErrors = silenceErrors
        self.openFile = openFile
        self.closeFile = closeFile
        self.openObject = openObject
        self.closeObject = closeObject
        self.kindOfObject = kindOfObject
        self.objectInfo = objectInfo
        self.visitLinks = visitLinks
        self.attributeExists = attributeExists
        self.linkExists = linkExists
        self.datasetType = datasetType
        self.datasetSpace = datasetSpace
        self.datasetProperties = datasetProperties
        self.datasetOffset = datasetOffset
        self.datasetStorage = datasetStorage
        self.read = read
        self.write = write
        self.chunkCount = chunkCount
        self.chunkInfo = chunkInfo
        // That of 1.12.3 passes other arguments.
        var version: (UInt32, UInt32, UInt32) = (0, 0, 0)
        let tellVersion = function("H5get_libversion", as: VersionFunction.self)
        let isKnown = (tellVersion?(&version.0, &version.1, &version.2) ?? -1) >= 0
        visitChunks =
            isKnown && (version.0, version.1) >= (1, 14)
            ? function("H5Dchunk_iter", as: VisitChunksFunction.self) : nil
        self.writeChunk = writeChunk
        self.closeType = closeType
        self.typeClass = typeClass
        self.typeSize = typeSize
        self.typeOrder = typeOrder
        self.typeSign = typeSign
        self.floatFields = floatFields
        self.floatBias = floatBias
        self.closeSpace = closeSpace
        self.spaceKind = spaceKind
        self.spaceRank = spaceRank
        self.spaceSizes = spaceSizes
        self.makeSpace = makeSpace
        self.selectBlock = selectBlock
        self.closeProperties = closeProperties
        self.layout = layout
        self.externalCount = externalCount
        self.chunkSizes = chunkSizes
        self.filterCount = filterCount
        self.filter = filter
        self.filterIsAvailable = filterIsAvailable
        self.filterInfo = filterInfo
    }
}

/// An open file, object, type, space or property list of libhdf5; closed once.
struct HDF5Handle: ~Copyable {
    let id: Int64
    private let close: HDF5Library.Close

    /// Takes what a call returned.
    ///
    /// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` when it failed.
    init(_ id: Int64, _ close: HDF5Library.Close, path: String, part: String) throws(ModelFileError) {
        guard id >= 0 else {
            throw .malformed(path: path, part: part, expected: "what libhdf5 can read", found: "a damaged part")
        }
        self.id = id
        self.close = close
    }

    deinit { _ = close(id) }
}
