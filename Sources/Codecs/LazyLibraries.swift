import CCodecShims

// Functions of libraries that are loaded when they are first used: only to be called where a codec's `unavailable` found none missing.
let libav = functions(wc_libav_load)
let libjxl = functions(wc_libjxl_load)
let libsndfile = functions(wc_libsndfile_load)

/// Loads a library and gives its functions, or nil and a message.
typealias LibraryLoader<Functions> = (UnsafeMutablePointer<wc_message>) -> UnsafePointer<Functions>?

/// Why this machine lacks a library, and which package has it; nil when it is loaded.
func reasonMissing<Functions>(_ load: LibraryLoader<Functions>) -> String? {
    var message = wc_message()
    return load(&message) == nil ? message.string : nil
}

/// A text that a library owns.
func libraryText(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }

private func functions<Functions>(_ load: LibraryLoader<Functions>) -> Functions {
    var message = wc_message()
    guard let functions = load(&message) else { fatalError(message.string) }
    return functions.pointee
}
