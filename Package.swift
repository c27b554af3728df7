// swift-tools-version: 6.3
import PackageDescription

/// A C library as Debian's -dev package installs it, imported by the module map under `Sources/CLibs`.
func clib(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/CLibs/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func library(
    _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "wcodec",
    products: [
        .executable(name: "wcodec", targets: ["wcodec"]),
        .library(name: "WeightMapper", targets: ["WeightMapper"]),
        .library(name: "Codecs", targets: ["Codecs"]),
        .library(name: "ModelFiles", targets: ["ModelFiles"]),
        .library(name: "WeightArchive", targets: ["WeightArchive"]),
        .library(name: "ModelGraph", targets: ["ModelGraph"]),
        .library(name: "Execution", targets: ["Execution"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        clib("CPNG", pkgConfig: "libpng", apt: "libpng-dev"),
        clib("CDeflate", pkgConfig: "libdeflate", apt: "libdeflate-dev"),
        clib("CZip", pkgConfig: "libzip", apt: "libzip-dev"),
        clib("CXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev"),
        clib("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        clib("CBzip2", apt: "libbz2-dev"),
        clib("CLZMA", pkgConfig: "liblzma", apt: "liblzma-dev"),
        clib("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        // Has the headers of libjxl, libavformat and libsndfile too, which it loads when a codec needs them.
        .target(name: "CCodecShims", dependencies: ["CPNG", "CDeflate"], path: "Sources/CLibs/CCodecShims"),
        // The functions of engines that are loaded when a network is run.
        .target(name: "CEngineShims", path: "Sources/CLibs/CEngineShims"),
        // Inner loops that are compiled for several sets of instructions.
        .target(name: "CNativeKernels", path: "Sources/CLibs/CNativeKernels"),
        // What becomes of a mapped file that another program makes shorter.
        .target(name: "CMappings", path: "Sources/CLibs/CMappings"),
        // Inner loops of the trellis quantizer.
        .target(name: "CTrellis", path: "Sources/CLibs/CTrellis"),

        library("WeightMapper", ["CTrellis"]),
        library("Codecs", ["CPNG", "CCodecShims"]),
        library(
            "ModelFiles",
            ["CBzip2", "CLZMA", "CMappings", "CZlib", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
            exclude: ["ONNX/onnx.proto"]),
        library(
            "ModelGraph",
            [
                "ModelFiles", .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        library(
            "Execution",
            [
                "CEngineShims", "CNativeKernels", "ModelFiles", "ModelGraph", "WeightMapper",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        library("WeightArchive", ["WeightMapper", "Codecs", "ModelFiles", "CDeflate", "CZip", "CXXHash", "CZlib"]),
        library(
            "Evaluation",
            [
                "WeightArchive", "ModelFiles", "ModelGraph", "Codecs", "Execution", "WeightMapper", "CZlib", "CZstd",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            // The report's page is one file: what it is made of is in the program.
            resources: ["report.html", "report.css", "report.js"].map { .embedInCode("HTML/Assets/\($0)") }),
        .executableTarget(
            name: "wcodec",
            dependencies: [
                "WeightMapper", "Codecs", "ModelFiles", "ModelGraph", "Execution", "WeightArchive", "Evaluation",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        tests("WeightMapperTests", ["WeightMapper", "CTrellis", "TestSupport"]),
        tests("CodecsTests", ["Codecs", "TestSupport"]),
        tests("ModelFilesTests", ["ModelFiles", "TestSupport"], resources: [.copy("Fixtures")]),
        .target(
            name: "TestSupport", dependencies: ["CXXHash", "CDeflate"], path: "Tests/TestSupport",
            swiftSettings: settings),
        tests("ModelGraphTests", ["ModelGraph", "ModelFiles", "Execution", "TestSupport"]),
        tests("WeightArchiveTests", ["WeightArchive", "WeightMapper", "Codecs", "ModelFiles", "TestSupport"]),
        tests(
            "EvaluationTests",
            [
                "Evaluation", "Execution", "Codecs", "WeightArchive", "WeightMapper", "ModelFiles", "ModelGraph",
                "TestSupport",
            ]),
        tests(
            "ExecutionTests",
            ["Execution", "CNativeKernels", "ModelFiles", "ModelGraph", "WeightMapper", "TestSupport"],
            resources: [.copy("Fixtures")]),
        tests("wcodecTests", ["wcodec", "Evaluation", "Execution", "WeightArchive", "ModelFiles", "TestSupport"]),
        tests(
            "FormatTests", ["WeightArchive", "WeightMapper", "Codecs", "ModelFiles", "CXXHash", "TestSupport"],
            resources: [.copy("Golden")]),
    ],
    swiftLanguageModes: [.v6]
)
