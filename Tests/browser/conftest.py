"""What the tests of the report's page share: packed files, their pages, and a browser without a window."""
import json
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver

PROGRAM = Path(__file__).parents[2] / ".build" / "release" / "wcodec"

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "{{script}} {{data}} &lt;b&gt; ' \" \\u003c",
    "quote'; rm -rf $HOME `id`",
    "\u202egnp.exe",
    "line\nbreak\ttab\u0000null",
    "ümläut.重み.💾",
    "a" * 400,
]


def wcodec(*arguments):
    subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def safetensors(path, tensors):
    """Writes float32 tensors, {name: shape}, of seeded bell-shaped values."""
    generator = random.Random(7)
    pool = struct.pack("<65536f", *(generator.gauss(0, 0.1) for _ in range(65536)))
    header, body = {}, []
    offset = 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        start = 4 * generator.randrange(65536 - size // 4) if size < len(pool) else 0
        data = (pool[start:] * (size // len(pool) + 2))[:size]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
        body.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A folder of pages: one file, others side by side, hostile names, a thousand layers."""
    folder = tmp_path_factory.mktemp("pages")
    network = {"stem.conv.weight": [32, 16, 3, 3], "lstm.weight_ih_l0": [256, 48], "lstm.weight_hh_l0": [256, 64], "head.weight": [40, 300]}
    network |= {f"block.{i}.dense.weight": [64 + 8 * i, 96] for i in range(8)}
    network |= {f"block.{i}.dense.bias": [64 + 8 * i] for i in range(8)}
    safetensors(folder / "model.safetensors", network)
    for name, options in {
        "n8": [], "n4": ["--bits", 4], "video": ["--as", "video", "--bits", 6], "audio": ["--as", "audio"],
    }.items():
        wcodec("pack", folder / "model.safetensors", "-q", "-o", folder / f"{name}.wcz", *options)
    loss = {"accepted": True, "metric": {"before": 0.975, "after": 0.974, "loss": 0.001, "relativeLoss": 0.00103}}
    (folder / "loss.json").write_text(json.dumps(loss))
    html = ["--html", "-q", "-o"]
    wcodec("report", folder / "n8.wcz", "--verification", folder / "loss.json", *html, folder / "single.html",
           "--original", folder / "model.safetensors")
    wcodec("report", *(folder / f"{name}.wcz" for name in ["n8", "n4", "video", "audio"]), *html, folder / "compared.html")
    wcodec("report", folder / "video.wcz", *html, folder / "preview.html", "--pictures", "preview")

    safetensors(folder / "hostile.safetensors", {name: [40, 40] for name in HOSTILE})
    wcodec("pack", folder / "hostile.safetensors", "-q", "-o", folder / "hostile.wcz")
    wcodec("report", folder / "hostile.wcz", *html, folder / "hostile.html")

    layers = {f"transformer.layers.{i}.attention.projection.weight": [32 + i % 17, 40 + i % 23] for i in range(1000)}
    safetensors(folder / "large.safetensors", layers)
    wcodec("pack", folder / "large.safetensors", "-q", "-o", folder / "large.wcz")
    wcodec("report", folder / "large.wcz", *html, folder / "large.html", "--pictures", "none")
    wcodec("report", folder / "large.wcz", *html, folder / "pictured.html", "--pictures", "auto")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Browser(webdriver.Chrome):
    """Chromium that shows the pages of a folder."""

    def show(self, page, width=1360, height=900, dark=False, reduced=False):
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                             {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}]})
        self.get(page.as_uri())
        return self

    def run(self, script, *arguments):
        return self.execute_script(script, *arguments)

    def names(self):
        return self.run("return [...document.querySelectorAll('.layers tbody tr:not([hidden]) th')].map(x => x.textContent)")

    def column(self, title):
        """Texts of a column of a page of one file, in the order shown."""
        return self.run("""
            const at = [...document.querySelectorAll('.layers thead tr:last-child th')].findIndex(x => x.textContent === arguments[0]);
            return [...document.querySelectorAll('.layers tbody tr:not([hidden])')].map(x => x.cells[at].textContent)""", title)

    def overflows(self):
        return self.run("return document.documentElement.scrollWidth - innerWidth")


@pytest.fixture(scope="session")
def browser_session():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ["--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1360,900"]:
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Browser(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(browser_session):
    """The browser; afterwards nothing may have been logged, and nothing asked of a network."""
    browser_session.get_log("browser"), browser_session.get_log("performance")
    yield browser_session
    assert browser_session.get_log("browser") == []
    requested = [
        message["params"]["request"]["url"]
        for message in (json.loads(entry["message"])["message"] for entry in browser_session.get_log("performance"))
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in requested if not url.startswith(("file:///", "data:"))] == []
    browser_session.get("about:blank")
