"""Open the demo page as a reader does: press an example, assess it, take pictures, compute contrast.

    pip install gradio playwright        # and a Chromium on the PATH
    python tests/tools/lab.py OUT_FOLDER page [--dark] [--width 390 --height 844]

The page runs in a process of its own, with the rehearsal adapter.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from browser import Browser, contrasts, cut_words

ROOT = Path(__file__).resolve().parents[2]
STATES = {"emergency": "Drooping eyelids", "well": "Well patient", "not_assessed": "Note in German"}

# An answer of before must not pass for the next, and the busy sign may be gone before anyone looks for it.
MARK_OLD = """() => document.querySelectorAll("#answer .verdict").forEach(box => box.dataset.old = "")"""
ANSWERED = """() => {
    const ready = [...document.querySelectorAll("button")].some(b => b.innerText.trim() === "Assess" && !b.disabled);
    const fresh = document.querySelector("#answer .verdict:not([data-old])");
    return ready && fresh && !document.querySelector("#answer .busy");
}"""


class DemoPage:
    """The demo page, started and shown in Chromium.

    with DemoPage() as demo:
        demo.assess("Raised ALT")
        assert "act today" in demo.verdict()
    """

    def __init__(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        self.look = {"width": width, "height": height, "dark": dark}

    def __enter__(self) -> DemoPage:
        with ExitStack() as started:
            address = self._start_server(started)
            browser = Browser(address, **self.look)
            self.page, self.refused = browser.start(started), browser.refused
            self.page.goto(address)
            self.page.get_by_role("button", name="Assess").wait_for(timeout=60_000)
            self._started = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def _start_server(self, started: ExitStack) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        quiet = {"HF_HUB_OFFLINE": "1", "IRAE_PROFILE": "rehearsal"}
        environment = os.environ | quiet | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
        command = [sys.executable, "-m", "irae_lib.publishing.demo_page"]
        options = {"cwd": ROOT, "env": environment, "text": True, "stdout": subprocess.PIPE}
        server = subprocess.Popen(command, stderr=subprocess.STDOUT, **options)
        started.callback(server.wait, 20)
        started.callback(server.terminate)
        self.said: list[str] = []  # what the server prints until it serves
        deadline = time.monotonic() + 400
        while time.monotonic() < deadline and (line := server.stdout.readline()):
            self.said.append(line.rstrip())
            if match := re.search(r"http://[\d.:]+", line):
                return match[0]
        raise AssertionError("the page did not start:\n" + "\n".join(self.said[-20:]))

    def assess(self, example: str = "", *, consent: bool = True, timeout: float = 60) -> None:
        """Press an example (default: keep the note), tick the consent, press Assess, wait for the model's answer."""
        if example:
            self.page.get_by_role("button", name=example, exact=True).click()
        if consent:
            self.page.get_by_label("Synthetic or de-identified").check()
        self.page.wait_for_timeout(200)  # a changed note or box first clears the old answer
        self.page.evaluate(MARK_OLD)
        self.page.get_by_role("button", name="Assess", exact=True).click()
        self.page.wait_for_function(ANSWERED, timeout=1000 * timeout)
        self.page.wait_for_timeout(900)  # the answer scrolls into view smoothly

    def verdict(self) -> str:
        """The words of the first verdict; empty if there is none."""
        boxes = self.page.locator(".irae .verdict")
        return boxes.first.inner_text() if boxes.count() else ""

    def picture(self, path: Path) -> Path:
        """A picture of the complete page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=True)
        return path


def take_pictures(folder: Path, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
    """Save the page empty and with three notes; print the lowest contrast and the cut words of each.

    `page_STATE_view` shows what is in view after the answer has scrolled there.
    """
    look = f"{'dark' if dark else 'light'}_{width}"
    with DemoPage(width=width, height=height, dark=dark) as demo:
        for state, example in {"empty": "", **STATES}.items():
            if example:
                demo.assess(example)
                demo.page.screenshot(path=folder / f"page_{state}_{look}_view.png")
            demo.picture(folder / f"page_{state}_{look}.png")
            lowest, *_ = texts = contrasts(demo.page)
            print(
                f"{look} {state}: {len(texts)} texts, lowest contrast {lowest.ratio:.2f} ({lowest.text!r})", flush=True
            )
            for line in cut_words(demo.page) + [f"{t.ratio:.2f} {t}" for t in texts if t.ratio < 4.5]:
                print("   ", line, flush=True)
        print("asked outside:", demo.refused or "nothing", "| printed at start:", demo.said, flush=True)
