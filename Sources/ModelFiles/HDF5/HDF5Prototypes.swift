/// The prototypes of the functions of libhdf5 that are called, by what they are for.
extension HDF5Library {
    typealias VersionFunction =
        @convention(c) (UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) ->
        Int32
    typealias SilenceErrorsFunction = @convention(c) (Int64, UnsafeRawPointer?, UnsafeRawPointer?) -> Int32
    typealias OpenFileFunction = @convention(c) (UnsafePointer<CChar>, UInt32, Int64) -> Int64
    typealias OpenObjectFunction = @convention(c) (Int64, UnsafePointer<CChar>, Int64) -> Int64
    typealias KindOfObjectFunction = @convention(c) (Int64) -> Int32
    typealias ObjectInfoFunction = @convention(c) (Int64, UnsafeMutableRawPointer, UInt32) -> Int32
    typealias VisitLinksFunction =
        @convention(c) (Int64, Int32, Int32, UnsafeMutablePointer<UInt64>?, Visitor, UnsafeMutableRawPointer?) -> Int32
    typealias AttributeExistsFunction = @convention(c) (Int64, UnsafePointer<CChar>) -> Int32
    typealias LinkExistsFunction = @convention(c) (Int64, UnsafePointer<CChar>, Int64) -> Int32
    typealias DatasetTypeFunction = @convention(c) (Int64) -> Int64
    typealias DatasetSpaceFunction = @convention(c) (Int64) -> Int64
    typealias DatasetPropertiesFunction = @convention(c) (Int64) -> Int64
    typealias DatasetOffsetFunction = @convention(c) (Int64) -> UInt64
    typealias DatasetStorageFunction = @convention(c) (Int64) -> UInt64
    typealias ReadFunction = @convention(c) (Int64, Int64, Int64, Int64, Int64, UnsafeMutableRawPointer?) -> Int32
    typealias WriteFunction = @convention(c) (Int64, Int64, Int64, Int64, Int64, UnsafeRawPointer?) -> Int32
    typealias ChunkCountFunction = @convention(c) (Int64, Int64, UnsafeMutablePointer<UInt64>) -> Int32
    typealias ChunkInfoFunction =
        @convention(c) (
            Int64, Int64, UInt64, UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt32>,
            UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>
        ) -> Int32
    typealias ChunkVisitor =
        @convention(c) (UnsafePointer<UInt64>?, UInt32, UInt64, UInt64, UnsafeMutableRawPointer?) -> Int32
    typealias VisitChunksFunction = @convention(c) (Int64, Int64, ChunkVisitor, UnsafeMutableRawPointer?) -> Int32
    typealias WriteChunkFunction =
        @convention(c) (Int64, Int64, UInt32, UnsafePointer<UInt64>, Int, UnsafeRawPointer) -> Int32
    typealias TypeClassFunction = @convention(c) (Int64) -> Int32
    typealias TypeSizeFunction = @convention(c) (Int64) -> Int
    typealias TypeOrderFunction = @convention(c) (Int64) -> Int32
    typealias TypeSignFunction = @convention(c) (Int64) -> Int32
    typealias FloatFieldsFunction =
        @convention(c) (
            Int64, UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>,
            UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>
        ) -> Int32
    typealias FloatBiasFunction = @convention(c) (Int64) -> Int
    typealias SpaceKindFunction = @convention(c) (Int64) -> Int32
    typealias SpaceRankFunction = @convention(c) (Int64) -> Int32
    typealias SpaceSizesFunction =
        @convention(c) (Int64, UnsafeMutablePointer<UInt64>?, UnsafeMutablePointer<UInt64>?) -> Int32
    typealias MakeSpaceFunction = @convention(c) (Int32, UnsafePointer<UInt64>, UnsafePointer<UInt64>?) -> Int64
    typealias SelectBlockFunction =
        @convention(c) (
            Int64, Int32, UnsafePointer<UInt64>, UnsafePointer<UInt64>?, UnsafePointer<UInt64>, UnsafePointer<UInt64>?
        ) -> Int32
    typealias LayoutFunction = @convention(c) (Int64) -> Int32
    typealias ExternalCountFunction = @convention(c) (Int64) -> Int32
    typealias ChunkSizesFunction = @convention(c) (Int64, Int32, UnsafeMutablePointer<UInt64>) -> Int32
    typealias FilterCountFunction = @convention(c) (Int64) -> Int32
    typealias FilterFunction =
        @convention(c) (
            Int64, UInt32, UnsafeMutablePointer<UInt32>?, UnsafeMutablePointer<Int>, UnsafeMutablePointer<UInt32>?, Int,
            UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<UInt32>
        ) -> Int32
    typealias FilterIsAvailableFunction = @convention(c) (Int32) -> Int32
    typealias FilterInfoFunction = @convention(c) (Int32, UnsafeMutablePointer<UInt32>) -> Int32
}
