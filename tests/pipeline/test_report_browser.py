"""The page in headless Chromium: plays, filters, follows a phone's width, and asks nobody anything.

Drives Debian's chromium through chromedriver's own HTTP interface; skipped where they are missing.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/, for fixtures_results

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"
    ),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


class Browser:
    """A WebDriver session: commands are plain HTTP requests."""

    def __init__(self, port: int, profile: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        chrome = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{answer['sessionId']}"

    def ask(self, verb: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, head, method=verb)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def run(self, script: str):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def until(self, script: str, seconds: float = 60.0):
        """The script's value as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)) and time.monotonic() < end:
            time.sleep(0.3)
        return value

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        self.ask("POST", "/goog/cdp/execute", command)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    import fixtures_results

    from boldreel.report import figures
    from boldreel.report import page as step

    root = fixtures_results.build(tmp_path_factory.mktemp("browser") / "demo", clips=16)
    fixtures_results.invent_scores(root)
    line = ["--results", str(root), "--subjects", "01", "02", "03", "--config"]
    figures.main([*line, '{"sheet_clips": 3}', "--output", str(root / "group" / "figures")])
    about = {"page_clips": 6, "dataset": "demo", "combination": ["object", "colour"]}
    step.main([*line, json.dumps(about), "--output", str(root / "report.html")])
    return root / "report.html"


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        session = Browser(port, tmp_path_factory.mktemp("profile"))
        session.size(1200, 900)
        session.ask("POST", "/url", {"url": page.as_uri()})
        yield session
        session.ask("DELETE", "")
    finally:
        driver.terminate()
        driver.wait()


def test_no_errors_and_no_requests(browser):
    log = browser.ask("POST", "/se/log", {"type": "browser"})
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []
    asked = browser.run(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(n => !n.startsWith('data:') && !n.startsWith('file:'))"
    )
    assert asked == []


def test_videos_play_in_step(browser):
    browser.run("document.querySelector('#watch').scrollIntoView()")
    playing = "[...document.querySelectorAll('video')].filter(v => v.readyState > 1 && !v.paused)"
    assert browser.until(f"return {playing}.length >= 5")
    apart = browser.until(
        f"const t = {playing}.map(v => v.currentTime); const d = Math.max(...t) - Math.min(...t);"
        "return Math.min(d, 2 - d) < 0.5 ? 'in step' : false"
    )
    assert apart == "in step"
    browser.run("document.querySelector('#play').click()")
    assert browser.until(f"return {playing}.length === 0")
    assert browser.run("return document.querySelector('#play').textContent") == "Play"
    browser.run("document.querySelector('#play').click()")


def test_far_videos_are_not_loaded(browser):
    browser.run("document.querySelector('#methods').scrollIntoView()")
    gone = "return [...document.querySelectorAll('video')].every(v => !v.src) ? 'yes' : false"
    assert browser.until(gone) == "yes"
    browser.run("document.querySelector('#watch').scrollIntoView()")


def choose(browser, control: str, value: str) -> None:
    browser.run(
        f"const c = document.querySelector('{control}'); c.value = '{value}';"
        "c.dispatchEvent(new Event('change', {bubbles: true}))"
    )


def shown(browser) -> list[dict]:
    return browser.run(
        "return [...document.querySelectorAll('#clips .card')].filter(c => !c.hidden)"
        ".map(c => ({segment: c.dataset.segment, seen: c.dataset.seen,"
        " score: Number(c.getAttribute('data-score-01'))}))"
    )


def test_filters_and_order(browser):
    assert len(shown(browser)) == 6
    choose(browser, "#segment", "test01")
    kept = shown(browser)
    assert 0 < len(kept) < 6 and {c["segment"] for c in kept} == {"test01"}
    assert browser.run("return document.querySelector('#shown').textContent") == (
        f"{len(kept)} of 6 clips"
    )
    choose(browser, "#segment", "")
    choose(browser, "#seen", "unseen")
    assert {c["seen"] for c in shown(browser)} <= {"unseen"}
    choose(browser, "#seen", "")
    choose(browser, "#order", "01:worst")
    scores = [c["score"] for c in shown(browser)]
    assert scores == sorted(scores)
    choose(browser, "#order", "")
    browser.run("document.querySelector('input[value=\"03\"]').click()")
    figures = "document.querySelectorAll('#clips [data-kind=\"03\"]')"
    hidden = f"return [...{figures}].length > 0 && [...{figures}].every(f => f.hidden)"
    assert browser.run(hidden) is True
    browser.run("document.querySelector('input[value=\"03\"]').click()")


def test_table_of_all_scores(browser, page):
    table = page.parent / "group" / "metrics.tsv"
    row = next(
        line.split("\t")
        for line in table.read_text().splitlines()
        if line.startswith("demo\t02\tunseen\tmindvideo\tmodel\tssim\trgb_uniform")
    )
    for name, value in (("subject", "02"), ("segment", "unseen"), ("method", "mindvideo")):
        choose(browser, f"#explore select[name={name}]", value)
    text = browser.run("return document.querySelector('#explore-out').innerText")
    line = next(t for t in text.splitlines() if t.startswith("Structural similarity (RGB"))
    assert f"{float(row[7]):.3f}" in line


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_and_is_readable(browser, width, theme):
    browser.size(width, 900)
    browser.run(f"document.documentElement.dataset.theme = '{theme}'")
    assert browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0
    pair = browser.run(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    assert contrast(*pair) > 7
    small = browser.run(
        "return [...document.querySelectorAll('p, td, figcaption')]"
        ".filter(e => e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 11).length"
    )
    assert small == 0
    browser.size(1200, 900)


def contrast(*colours: str) -> float:
    """WCAG contrast of two css rgb() colours."""

    def light(text: str) -> float:
        parts = [int(x) / 255 for x in re.findall(r"\d+", text)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(light(text) for text in colours)
    return (high + 0.05) / (low + 0.05)


def test_keyboard_and_names(browser):
    unnamed = browser.run(
        "return [...document.querySelectorAll('button, select, input, video, nav, section')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')"
        " || e.textContent.trim() || (e.labels && e.labels.length))).map(e => e.outerHTML)"
    )
    assert unnamed == []
    first = browser.run("return document.querySelector('body > a').getAttribute('href')")
    assert first == "#main"
    assert (
        browser.run("return document.querySelectorAll('[tabindex]:not([tabindex=\"0\"])').length")
        == 0
    )


def test_nothing_moves_while_loading(browser, page):
    script = (
        "window.moved = 0; new PerformanceObserver(l => l.getEntries().forEach(e => {"
        "if (!e.hadRecentInput) window.moved += e.value}))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    command = {
        "cmd": "Page.addScriptToEvaluateOnNewDocument",
        "params": {"source": script},
    }
    browser.ask("POST", "/goog/cdp/execute", command)
    browser.ask("POST", "/url", {"url": page.as_uri()})
    browser.until("return document.readyState === 'complete'")
    browser.run("document.querySelector('#watch').scrollIntoView()")
    time.sleep(2)
    assert browser.run("return window.moved") < 0.02
