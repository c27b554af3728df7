import Glibc

/// Classes of like scale for the channels of a layer, and for the places within them, where sorting by them saves more than it costs
/// to say.
///
/// Entropy coders learn frequencies over some ten thousand samples. Channels of trained layers differ in scale by 20 to 40 %, and
/// more; in recurrent layers, filter banks and first layers so do the inputs. Sorting saves 0.02 to 0.06 bits per weight in
/// transformers, 0.1 to 0.6 where inputs go unused.
struct WeightClasses {
    /// One for each channel, then perhaps one for each place; none where sorting does not pay.
    let classes: [UInt8]
    /// What weights lie around.
    let centers: WeightCenters
    /// Bits that the layer so takes, up to a constant for each weight.
    let bits: Double

    /// Mean squared error that a quantizer leaves, in squared steps.
    static let noise = 0.3

    /// Weights over which an entropy coder's frequencies are those of the last ones.
    private static let memory = 1 << 16
    /// Classes in an octave of the standard deviation.
    private static let perOctave = 2.0
    /// Bits of a table of code lengths.
    private static let table = 350.0

    /// - Parameter positions: weights in steps, channel by channel.
    init(_ positions: [Float], _ geometry: LayerGeometry) {
        let length = WeightOrder.channelLength(geometry)
        guard WeightOrder.canSort(geometry), positions.count >= 1 << 12, length > 1 || geometry.channels.count > 1
        else {
            (classes, centers, bits) = ([], .none, .infinity)
            return
        }
        var best = Choice(Energies(positions, length: length, .none), .none)
        for axis in [WeightCenters.Axis.channels, .places] {
            let centers = Self.centers(positions, length: length, axis)
            guard centers.values.contains(where: { $0 != 0 }) else { continue }
            var choice = Choice(Energies(positions, length: length, centers), centers)
            choice.bits += Self.cost(centers.values.map { UInt8(bitPattern: $0) })
            if choice.bits < best.bits - 0.01 * Double(positions.count) { best = choice }
        }
        (classes, centers, bits) = (best.classes, best.centers, best.bits)
    }

    /// Bits of weights of one scale, with their tables of code lengths.
    ///
    /// - Parameter energy: mean square, in squared steps.
    static func bits(energy: Double, _ count: Int) -> Double {
        0.5 * log2(energy + noise) * Double(count) + table * max(1, Double(count) / Double(memory))
    }

    /// Classes for weights around some centers.
    private struct Choice {
        var classes: [UInt8]
        var bits: Double
        let centers: WeightCenters

        init(_ layer: Energies, _ centers: WeightCenters) {
            let channels = WeightClasses.classes(layer.channels)
            let places = WeightClasses.classes(layer.places)
            let plain = layer.bitsInOrder
            let byChannel = layer.bits(channels, places: []) + WeightClasses.cost(channels)
            let byBoth = layer.bits(channels, places: places) + WeightClasses.cost(channels + places)
            self.centers = centers
            if byBoth < min(byChannel, plain) - 0.004 * Double(layer.count) - 128 {
                (classes, bits) = (channels + places, byBoth)
            } else if byChannel < plain - 64 {
                (classes, bits) = (channels, byChannel)
            } else {
                (classes, bits) = ([], plain)
            }
        }
    }

    /// The median of each channel or place, of some of its weights, in whole indices.
    private static func centers(_ positions: [Float], length: Int, _ axis: WeightCenters.Axis) -> WeightCenters {
        let channels = positions.count / length
        let (count, others) = axis == .channels ? (channels, length) : (length, channels)
        // Each takes part in so many medians that every so manieth is enough.
        let stride = max(others / 65, 1)
        let values = positions.withUnsafeBufferPointer { positions in
            (0..<count).map { own in
                var picked: [Float] = []
                for other in Swift.stride(from: 0, to: others, by: stride) {
                    picked.append(positions[axis == .channels ? own * length + other : other * length + own])
                }
                picked.sort()
                return Int8(max(min(picked[picked.count / 2] / 2, 127), -127).rounded())
            }
        }
        return WeightCenters(axis: axis, values: values)
    }

    /// Classes by the logarithm of mean squares.
    fileprivate static func classes(_ energies: [Double]) -> [UInt8] {
        let octaves = energies.map { Int((perOctave * 0.5 * log2($0 + noise)).rounded()) }
        let lowest = max(octaves.min() ?? 0, (octaves.max() ?? 0) - 200)
        return octaves.map { UInt8(max($0 - lowest, 0)) }
    }

    /// Bits that the classes themselves take among the parameters.
    fileprivate static func cost(_ classes: [UInt8]) -> Double {
        var counts = [Int](repeating: 0, count: 256)
        for value in classes { counts[Int(value)] += 1 }
        return 1.05 * Double(HuffmanCode.deflateBits(counts).all)
    }

    /// Mean squares of a layer's weights around their centers, in squared steps.
    private struct Energies {
        /// Of each channel, and of each place over all channels.
        var channels: [Double]
        var places: [Double]
        private let positions: [Float]
        private let length: Int
        /// Twice the centers of channels and of places; 0 where there are none.
        private let ofChannels, ofPlaces: [Float]

        init(_ positions: [Float], length: Int, _ centers: WeightCenters) {
            self.positions = positions
            self.length = length
            let many = positions.count / length
            let doubled = centers.values.map { 2 * Float($0) }
            let channelCenters = centers.axis == .channels ? doubled : [Float](repeating: 0, count: many)
            let placeCenters = centers.axis == .places ? doubled : [Float](repeating: 0, count: length)
            var channels: [Double] = []
            var places = [Float](repeating: 0, count: length)
            var squares = places
            positions.withUnsafeBufferPointer { positions in
                places.withUnsafeMutableBufferPointer { places in
                    squares.withUnsafeMutableBufferPointer { squares in
                        placeCenters.withUnsafeBufferPointer { placeCenters in
                            for channel in 0..<many {
                                let start = channel * length
                                let center = channelCenters[channel]
                                for i in 0..<length {
                                    let position = positions[start &+ i] - center - placeCenters[i]
                                    squares[i] = position * position
                                    places[i] += squares[i]
                                }
                                var sum = SIMD8<Float>()
                                var i = 0
                                while i + 8 <= length {
                                    sum += UnsafeRawPointer(squares.baseAddress.unsafelyUnwrapped + i)
                                        .loadUnaligned(as: SIMD8<Float>.self)
                                    i += 8
                                }
                                var rest = Double(sum.sum())
                                while i < length {
                                    rest += Double(squares[i])
                                    i += 1
                                }
                                channels.append(rest / Double(length))
                            }
                        }
                    }
                }
            }
            ofChannels = channelCenters
            ofPlaces = placeCenters
            self.places = places.map { Double($0) / Double(many) }
            self.channels = channels
        }

        /// Number of weights.
        var count: Int { positions.count }

        private static func bits(_ sum: Double, _ count: Double) -> Double {
            count > 0 ? 0.5 * log2(sum / count + noise) * count : 0
        }

        /// Bits of all weights, up to a constant, as they follow each other.
        var bitsInOrder: Double {
            let perBlock = max(memory / max(length, 1), 1)
            return stride(from: 0, to: channels.count, by: perBlock).reduce(0) { bits, start in
                let block = channels[start..<min(start + perBlock, channels.count)]
                return bits + Self.bits(block.reduce(0, +) * Double(length), Double(block.count * length)) + table
            }
        }

        /// Bits of all weights sorted by classes, each with frequencies of its own where it is large enough.
        func bits(_ classes: [UInt8], places: [UInt8]) -> Double {
            var sums = [Double](repeating: 0, count: 512)
            var counts = [Int](repeating: 0, count: 512)
            // Every so manieth channel of a large layer tells enough.
            let every = places.isEmpty ? 1 : max(count >> 21, 1)
            let scale = Double(classes.count) / Double((classes.count + every - 1) / every)
            positions.withUnsafeBufferPointer { positions in
                sums.withUnsafeMutableBufferPointer { sums in
                    counts.withUnsafeMutableBufferPointer { counts in
                        for (channel, row) in classes.enumerated() where channel % every == 0 {
                            let start = channel * length
                            if places.isEmpty {
                                sums[Int(row)] += channels[channel] * Double(length)
                                counts[Int(row)] += length
                                continue
                            }
                            places.withUnsafeBufferPointer { places in
                                for i in 0..<length {
                                    let value = Int(row) &+ Int(places[i])
                                    let position = positions[start &+ i] - ofChannels[channel] - ofPlaces[i]
                                    sums[value] += Double(position * position)
                                    counts[value] &+= 1
                                }
                            }
                        }
                    }
                }
            }
            // Neighboring classes that are small share a table.
            var bits = 0.0
            var (sum, count) = (0.0, 0.0)
            for value in sums.indices where counts[value] > 0 {
                sum += sums[value] * scale
                count += Double(counts[value]) * scale
                guard count >= 2048 else { continue }
                // Large classes have many tables, as layers that are not sorted.
                bits += Self.bits(sum, count) + table * max(1, count / Double(memory))
                (sum, count) = (0, 0)
            }
            return bits + Self.bits(sum, count)
        }
    }
}
