import Foundation
import TestSupport
import Testing

/// Reports that go to files, the page above all, and galleries.
struct ReportPageTests {
    @Test func thePageHasAName() async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await wcodec("report", "model.wcz", "--html", in: folder)
        #expect(result.status == 0 && result.error.isEmpty && result.output.hasPrefix("model.html, "))
        #expect(folder.contents == ["model.html", "model.safetensors", "model.wcz"])
        let page = String(decoding: try fileBytes(folder["model.html"]), as: UTF8.self)
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("first.weight") && page.hasSuffix("</html>\n"))
        #expect(try await wcodec("report", "model.wcz", "--html", in: folder).status == 73)
        #expect(try await wcodec("report", "model.wcz", "--html", "--force", "-q", in: folder).output.isEmpty)
        #expect(String(decoding: try fileBytes(folder["model.html"]), as: UTF8.self) == page)
        #expect(try await wcodec("report", "model.wcz", "--html", "-o", "-", in: folder).output == page)
    }

    @Test(arguments: [[], ["--json"], ["--csv"]])
    func everyReportGoesToAFile(options: [String]) async throws {
        let folder = try await sampleFolder(packed: true)
        let command = (["report", "model.wcz"] + options).joined(separator: " ")
        let printed = try await shell("$wcodec \(command)", in: folder)
        let written = try await shell("$wcodec \(command) -o report", in: folder)
        #expect(written.status == 0 && written.output.isEmpty && written.error.isEmpty)
        #expect(String(decoding: try fileBytes(folder["report"]), as: UTF8.self) == printed.output)
        #expect(try await shell("$wcodec \(command) -o report", in: folder).status == 73)
        #expect(try await shell("$wcodec \(command) -o model.wcz --force", in: folder).status == 73)
    }

    @Test func severalFilesShareAPage() async throws {
        let folder = try await sampleFolder(packed: true)
        _ = try await wcodec("pack", "model.safetensors", "--bits", "4", "-o", "four.wcz", in: folder)
        let result = try await wcodec("report", "model.wcz", "four.wcz", "--html", "-o", "both.html", in: folder)
        #expect(result.status == 0)
        let page = String(decoding: try fileBytes(folder["both.html"]), as: UTF8.self)
        #expect(page.contains("model.wcz") && page.contains("four.wcz"))
    }

    @Test(arguments: [
        ("report model.wcz model.wcz", 64, "--html"), ("report model.wcz --html --json", 64, "--json"),
        ("report model.wcz --pictures none", 64, "--html"), ("report model.wcz --html --pictures all", 64, "all"),
        ("report model.wcz model.wcz --html -o x --verification v.json", 64, "--verification"),
        ("report model.wcz --html --verification v.json", 65, "v.json"),
        ("report model.wcz --html -o nofolder/x.html", 73, "nofolder"),
        ("report model.wcz --html -o model.wcz --force", 73, "model.wcz"),
        ("report model.safetensors --html -o x.html", 65, "model.safetensors"),
        ("inspect model.wcz --gallery", 64, "-o"),
        ("inspect model.wcz --gallery --image first.weight -o x", 64, "both"),
        ("inspect model.wcz --gallery -o model.safetensors", 73, "--force"),
        ("inspect model.wcz --gallery -o model.safetensors --force", 73, "model.safetensors"),
    ])
    func mistakesAreNamed(command: String, status: Int32, word: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await shell("$wcodec \(command)", in: folder)
        #expect(result.status == status && result.output.isEmpty)
        #expect(result.error.contains(word), "\(result.error)")
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }

    @Test(arguments: ["model.wcz", "model.safetensors"])
    func aGalleryHoldsEveryPicture(file: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await wcodec("inspect", file, "--gallery", "-o", "pictures", in: folder)
        #expect(result.status == 0 && result.error.isEmpty && result.output == "pictures: 2 pictures of 2 layers\n")
        #expect(
            folder.contents.filter { $0.hasPrefix("pictures/") }
                == ["pictures/first.weight.png", "pictures/second.weight.png"])
        _ = try await wcodec("inspect", file, "--image", "first.weight", "-o", "first.png", in: folder)
        #expect(try fileBytes(folder["first.png"]) == fileBytes(folder["pictures/first.weight.png"]))
    }
}
