import CAVCodec
import CAVFormat
import CAVUtil
import CJXL
import CPNG
import CSndfile

extension CodecRegistry {
    /// Versions of the libraries in use: another version may give other streams of the same frames.
    public static var libraryVersions: [String] {
        [
            "libpng \(png_get_libpng_ver(nil).map { String(cString: $0) } ?? "")",
            "libjxl \(JxlEncoderVersion())",
            "libav \(av_version_info().map { String(cString: $0) } ?? "") \(avcodec_version()) \(avformat_version())",
            sf_version_string().map { String(cString: $0) } ?? "",
        ]
    }
}
