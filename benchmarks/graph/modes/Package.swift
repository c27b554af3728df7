// swift-tools-version: 6.3
import PackageDescription

// A package of its own: who depends on wcodec neither builds nor resolves it.
let package = Package(
    name: "modes",
    dependencies: [.package(name: "wcodec", path: "../../..")],
    targets: [
        .executableTarget(
            name: "modes",
            dependencies: [
                .product(name: "Execution", package: "wcodec"), .product(name: "ModelFiles", package: "wcodec"),
                .product(name: "ModelGraph", package: "wcodec"),
            ],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
