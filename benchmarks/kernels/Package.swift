// swift-tools-version: 6.3
import PackageDescription

// A package of its own: who depends on wcodec neither builds nor resolves it.
let package = Package(
    name: "kernels",
    dependencies: [.package(name: "wcodec", path: "../..")],
    targets: [
        .executableTarget(
            name: "kernels", dependencies: [.product(name: "WeightMapper", package: "wcodec")],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
