/// Gives every tensor of a file a name of its own: one that is taken gets `#2`, `#3` and so on.
package struct UniqueNames {
    /// How often each name was asked for; 1 for those that were made.
    private var copies: [String: Int] = [:]

    package init() {}

    /// The name, or the first numbered one that is free.
    package mutating func unique(_ name: String) -> String {
        var unique = name
        while copies[unique] != nil {
            copies[name, default: 1] += 1
            unique = "\(name)#\(copies[name, default: 1])"
        }
        copies[unique] = 1
        return unique
    }
}
