import CCodecShims

/// A picture as a network may take it: samples of 8 bits.
package struct Picture: Sendable {
    package let width: Int
    package let height: Int
    /// 1 for gray, 3 for red, green and blue.
    package let channels: Int
    /// Row by row, the channels of a pixel one after another.
    package let samples: [UInt8]

    /// Whether a file is a PNG, by its first bytes.
    package static func recognizes(_ file: UnsafeRawBufferPointer) -> Bool {
        file.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    }

    /// Reads a PNG file of any kind: 16 bits become 8, transparency is left out, color becomes gray by its luma.
    ///
    /// - Parameters:
    ///   - file: its bytes.
    ///   - channels: 1 or 3.
    /// - Throws: `CodecError.damaged`.
    package init(png file: UnsafeRawBufferPointer, channels: Int) throws(CodecError) {
        precondition(channels == 1 || channels == 3)
        var picture = wc_picture()
        var message = wc_message()
        let bytes = file.bindMemory(to: UInt8.self)
        guard let start = bytes.baseAddress,
            wc_png_read_pixels(start, bytes.count, channels == 3, &picture, &message)
        else { throw .damaged(codec: "png", reason: file.isEmpty ? "the file is empty" : message.string) }
        defer { wc_release(picture.samples) }
        width = Int(picture.width)
        height = Int(picture.height)
        self.channels = channels
        samples = [UInt8](UnsafeBufferPointer(start: picture.samples, count: width * height * channels))
    }
}

extension Picture {
    /// A gray picture of samples that are there already, row by row.
    package init(width: Int, height: Int, gray samples: [UInt8]) {
        precondition(samples.count == width * height)
        (self.width, self.height, channels, self.samples) = (width, height, 1, samples)
    }
}
