extension ValidManifest {
    /// The tensor of this packed file that a layer of planes was packed against; `nil` where there is none.
    func base(of layer: PlanedLayer) -> Int? {
        let quantizer = manifest.tensors[layer.tensor].packed?.planes?.quantizer
        return quantizer?.name == "delta" ? quantizer?.earlier : nil
    }

    /// Numbers of the layers of planes, each after the one that it was packed against.
    private var inOrder: [Int] { planed.indices.sorted { planed[$0].tensor < planed[$1].tensor } }

    /// Numbers of the layers of planes that are decoded together: those of a film, or one.
    var units: [[Int]] { waves.flatMap { $0 } }

    /// Units in groups, each of which needs but those before: what layers were packed against.
    var waves: [[[Int]]] {
        var depths: [Int: Int] = [:]
        var waves: [[[Int]]] = [films.map(\.layers)]
        for number in inOrder where planed[number].film == nil {
            let depth = base(of: planed[number]).map { (depths[$0] ?? 0) + 1 } ?? 0
            depths[planed[number].tensor] = depth
            if depth == waves.count { waves.append([]) }
            waves[depth].append([number])
        }
        return waves
    }

    /// Numbers of the layers of planes in groups that do not need each other.
    ///
    /// Each is a layer, then all that were packed against it or against each other, in order; those of films are not among them.
    var families: [[Int]] {
        var familyOfTensor: [Int: Int] = [:]
        var families: [[Int]] = []
        for number in inOrder where planed[number].film == nil {
            let family = base(of: planed[number]).flatMap { familyOfTensor[$0] } ?? families.count
            if family == families.count { families.append([]) }
            families[family].append(number)
            familyOfTensor[planed[number].tensor] = family
        }
        return families
    }
}
