import Evaluation
import Execution
import ModelFiles

/// What running a network gave, as JSON and as text.
struct RunDocument: Encodable {
    struct Output: Encodable {
        let name, type: String
        let shape: [Int]
        /// Of the finite values; `nil` where there are none, or no real ones.
        let minimum, mean, maximum: Double?
        /// The indices of the first of the largest values.
        let largestAt: [Int]?
        /// Values that are not finite.
        let notFinite: Int
    }

    let engine: String
    let threads: Int
    let loadSeconds, runSeconds: Double
    let outputs: [Output]

    init(engine: String, threads: Int, load: Duration, run: Duration, _ outputs: [(String, TensorValue)]) {
        self.engine = engine
        self.threads = threads
        loadSeconds = load / .seconds(1)
        runSeconds = run / .seconds(1)
        self.outputs = outputs.map { Output($0.0, $0.1) }
    }

    func lines(width: Int?) -> [String] {
        var table = TextTable([
            .init("output", alignsRight: false), .init("type", priority: 3, alignsRight: false),
            .init("shape", alignsRight: false), .init("min"), .init("mean", priority: 2), .init("max"),
            .init("largest at", priority: 1, alignsRight: false),
        ])
        for output in outputs {
            table.add([
                output.name, output.type, dimensions(output.shape), output.minimum.map { significant($0) } ?? "-",
                output.mean.map { significant($0) } ?? "-", output.maximum.map { significant($0) } ?? "-",
                output.largestAt.map { $0.map(String.init).joined(separator: ",") } ?? "-",
            ])
        }
        let bad = outputs.filter { $0.notFinite > 0 }.map {
            "\($0.name): \(count($0.notFinite, "value")) not finite"
        }
        let times = "load \(fixed(loadSeconds * 1e3, 1)) ms, run \(fixed(runSeconds * 1e3, 1)) ms"
        return table.lines(width: width) + bad + ["\(engine), \(count(threads, "thread")): \(times)"]
    }
}

extension RunDocument.Output {
    init(_ name: String, _ value: TensorValue) {
        var sum = 0.0
        var finite = 0
        var minimum: Double?
        var maximum: (value: Double, place: Int)?
        let numbers = value.numbers ?? []
        for (place, number) in numbers.enumerated() where number.isFinite {
            sum += number
            finite += 1
            minimum = min(minimum ?? number, number)
            if number > maximum?.value ?? -.infinity { maximum = (number, place) }
        }
        self.name = name
        type = value.type.rawValue
        shape = value.shape
        self.minimum = minimum
        mean = finite > 0 ? sum / Double(finite) : nil
        self.maximum = maximum?.value
        largestAt = maximum.map { maximum in
            var rest = maximum.place
            return value.shape.reversed().map { size in
                defer { rest /= size }
                return rest % size
            }.reversed()
        }
        notFinite = numbers.count - finite
    }
}
