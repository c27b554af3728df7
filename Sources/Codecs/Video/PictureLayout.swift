import CCodecShims

/// How gray frames of bins lie in the pictures a video codec takes.
///
/// A picture is at least as large as the frame; the margin at its right and bottom repeats the frame's edge, which every
/// predictor foresees. Samples are shifted left where the codec profits from its whole depth. A pixel may hold two bins, so
/// that the code of a codec that does not predict sees pairs.
struct PictureLayout {
    /// What the planes of a picture hold.
    enum Planes: Equatable {
        /// One plane, a frame.
        case gray
        /// A frame in each of three planes of one size.
        case three
        /// A frame, and two color planes of quarter size without color.
        case colorless
    }

    let format: FrameFormat
    let pixelFormat: AVPixelFormat
    /// Bits of a sample in the picture.
    let depth: Int
    /// How far bins are shifted left in their part of a sample.
    let shift: Int
    /// 1, or 2: the bin of an even column in the upper half of a sample, the next one in the lower half.
    let binsPerPixel: Int
    let planes: Planes
    let width: Int
    let height: Int

    var framesPerPicture: Int { planes == .three ? 3 : 1 }

    /// Pictures that hold `count` frames.
    func pictureCount(_ count: Int) -> Int { (count + framesPerPicture - 1) / framesPerPicture }

    /// Fills the planes of a picture that hold no bins.
    func prepare(_ picture: AVFrame) {
        guard planes == .colorless else { return }
        for index in 1...2 { fill(picture, plane: index, (width + 1) / 2, (height + 1) / 2, 1 << (depth - 1)) }
    }

    /// Fills a plane that has no frame, at the end of a video.
    func clear(_ picture: AVFrame, plane: Int) {
        fill(picture, plane: plane, width, height, 0)
    }

    /// Writes a frame of bins into a plane.
    func store(_ frame: UnsafeRawBufferPointer, _ picture: AVFrame, plane: Int) {
        switch (format.bytesPerSample, depth > 8) {
        case (1, false) where binsPerPixel == 2: storePairs(frame, picture, plane)
        case (1, false): store(frame, of: UInt8.self, picture, plane, as: UInt8.self)
        case (1, true): store(frame, of: UInt8.self, picture, plane, as: UInt16.self)
        default: store(frame, of: UInt16.self, picture, plane, as: UInt16.self)
        }
    }

    /// Reads a frame of bins from a plane, rounded to the nearest bin and clamped to the bit depth.
    func load(_ picture: AVFrame, plane: Int, _ frame: UnsafeMutableRawBufferPointer) {
        switch (format.bytesPerSample, depth > 8) {
        case (1, false) where binsPerPixel == 2: loadPairs(picture, plane, frame)
        case (1, false): load(picture, plane, as: UInt8.self, frame, of: UInt8.self)
        case (1, true): load(picture, plane, as: UInt16.self, frame, of: UInt8.self)
        default: load(picture, plane, as: UInt16.self, frame, of: UInt16.self)
        }
    }

    private func store<Bin: FixedWidthInteger, Sample: FixedWidthInteger>(
        _ frame: UnsafeRawBufferPointer, of: Bin.Type, _ picture: AVFrame, _ plane: Int, as: Sample.Type
    ) {
        guard let base = picture.plane(plane) else { return }
        let bins = frame.bindMemory(to: Bin.self)
        let stride = picture.stride(plane)
        let shift = Sample(shift)
        for y in 0..<format.height {
            let line = UnsafeMutableRawPointer(base + y * stride).assumingMemoryBound(to: Sample.self)
            let source = bins.baseAddress.unsafelyUnwrapped + y * format.width
            for x in 0..<format.width { line[x] = Sample(truncatingIfNeeded: source[x]) &<< shift }
            extend(line, from: format.width)
        }
        repeatLastRow(base, stride, bytes: width * MemoryLayout<Sample>.size)
    }

    private func storePairs(_ frame: UnsafeRawBufferPointer, _ picture: AVFrame, _ plane: Int) {
        guard let base = picture.plane(plane) else { return }
        let bins = frame.bindMemory(to: UInt8.self)
        let stride = picture.stride(plane)
        let (lower, upper) = (UInt8(shift), UInt8(depth / 2 + shift))
        for y in 0..<format.height {
            let line = base + y * stride
            let source = bins.baseAddress.unsafelyUnwrapped + y * format.width
            for x in 0..<format.width / 2 { line[x] = source[2 * x] &<< upper | source[2 * x + 1] &<< lower }
            let used = (format.width + 1) / 2
            if !format.width.isMultiple(of: 2) {
                line[used - 1] = source[format.width - 1] &<< upper | source[format.width - 1] &<< lower
            }
            extend(line, from: used)
        }
        repeatLastRow(base, stride, bytes: width)
    }

    /// Repeats the last sample of a row that has `used` of them.
    private func extend<Sample>(_ line: UnsafeMutablePointer<Sample>, from used: Int) {
        let edge = line[used - 1]
        for x in used..<max(width, used) { line[x] = edge }
    }

    private func repeatLastRow(_ base: UnsafeMutablePointer<UInt8>, _ stride: Int, bytes: Int) {
        let last = base + (format.height - 1) * stride
        for y in format.height..<max(height, format.height) { (base + y * stride).update(from: last, count: bytes) }
    }

    private func load<Sample: FixedWidthInteger, Bin: FixedWidthInteger>(
        _ picture: AVFrame, _ plane: Int, as: Sample.Type, _ frame: UnsafeMutableRawBufferPointer, of: Bin.Type
    ) {
        guard let base = picture.plane(plane) else { return }
        let bins = frame.bindMemory(to: Bin.self)
        let stride = picture.stride(plane)
        let shift = UInt32(shift)
        let half: UInt32 = shift == 0 ? 0 : 1 << (shift - 1)
        let top: UInt32 = (1 << UInt32(format.bitDepth)) - 1
        for y in 0..<format.height {
            let line = UnsafeRawPointer(base + y * stride).assumingMemoryBound(to: Sample.self)
            let target = bins.baseAddress.unsafelyUnwrapped + y * format.width
            for x in 0..<format.width {
                let bin = (UInt32(truncatingIfNeeded: line[x]) &+ half) &>> shift
                target[x] = Bin(truncatingIfNeeded: bin > top ? top : bin)
            }
        }
    }

    private func loadPairs(_ picture: AVFrame, _ plane: Int, _ frame: UnsafeMutableRawBufferPointer) {
        guard let base = picture.plane(plane) else { return }
        let bins = frame.bindMemory(to: UInt8.self)
        let stride = picture.stride(plane)
        let (lower, upper) = (UInt8(shift), UInt8(depth / 2 + shift))
        let top: UInt8 = (1 << UInt8(format.bitDepth)) - 1
        for y in 0..<format.height {
            let line = base + y * stride
            let target = bins.baseAddress.unsafelyUnwrapped + y * format.width
            for x in 0..<format.width / 2 {
                target[2 * x] = line[x] &>> upper
                target[2 * x + 1] = line[x] &>> lower & top
            }
            if !format.width.isMultiple(of: 2) { target[format.width - 1] = line[format.width / 2] &>> upper }
        }
    }

    private func fill(_ picture: AVFrame, plane: Int, _ width: Int, _ height: Int, _ value: Int) {
        guard let base = picture.plane(plane) else { return }
        for y in 0..<height {
            let line = UnsafeMutableRawPointer(base + y * picture.stride(plane))
            if depth > 8 {
                line.assumingMemoryBound(to: UInt16.self).update(repeating: UInt16(value), count: width)
            } else {
                line.assumingMemoryBound(to: UInt8.self).update(repeating: UInt8(value), count: width)
            }
        }
    }
}

extension AVFrame {
    /// The first row of plane 0, 1 or 2.
    fileprivate func plane(_ index: Int) -> UnsafeMutablePointer<UInt8>? {
        switch index {
        case 0: data.0
        case 1: data.1
        default: data.2
        }
    }

    /// Bytes from one row of a plane to the next.
    fileprivate func stride(_ index: Int) -> Int {
        switch index {
        case 0: Int(linesize.0)
        case 1: Int(linesize.1)
        default: Int(linesize.2)
        }
    }
}
