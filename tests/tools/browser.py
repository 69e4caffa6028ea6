"""Headless Chromium for pages of this machine: nothing outside is fetched, and the contrast of every text is computed.

Shared by `lab.py`, which opens notebooks in JupyterLab, and `page.py`, which opens the demo page.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # pytest imports every file here to look for doctests, also where playwright is not installed
    from playwright.sync_api import Page, Route

# Every visible text with its color over the colors behind it. Pictures and gradients behind a text are not seen.
CONTRAST = """scope => {
    const parse = value => {
        const numbers = value.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
        const [r, g, b] = value.startsWith("color(srgb") ? numbers.map(n => n * 255) : numbers;
        return [r, g, b, numbers[3] ?? 1];
    };
    const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
    const ground = element => {
        const layers = [];
        for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
        return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
    };
    const light = rgb => {
        const [r, g, b] = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [], walker = document.createTreeWalker(scope ? document.querySelector(scope) : document.body, 4);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
        if (!text || element.closest("style, script, noscript, [disabled]") || !element.checkVisibility({
            opacityProperty: true, visibilityProperty: true})) continue;
        const box = element.getBoundingClientRect();
        if (box.width < 2 || box.height < 2) continue;
        let opacity = 1;
        for (let e = element; e; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
        const behind = ground(element), [r, g, b, a] = parse(getComputedStyle(element).color);
        const color = over([r, g, b, a * opacity], behind);
        const [high, low] = [light(color), light(behind)].sort((x, y) => y - x);
        found.push({ratio: (high + 0.05) / (low + 0.05), text: text.slice(0, 60),
                    color: color.map(Math.round).join(), ground: behind.map(Math.round).join()});
    }
    return found.sort((x, y) => x.ratio - y.ratio);
}"""
# What sticks out of the page to the right, and words broken over two lines.
CUT = """scope => {
    const found = [], wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide + 1) found.push(`page ${document.documentElement.scrollWidth} px`);
    const walker = document.createTreeWalker(scope ? document.querySelector(scope) : document.body, 4);
    const range = document.createRange();
    while (walker.nextNode()) {
        const node = walker.currentNode, element = node.parentElement;
        if (element.closest("style, script, noscript, textarea") || !element.checkVisibility()) continue;
        for (const word of node.textContent.matchAll(/[\\p{L}\\d]{2,}/gu)) {
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const boxes = [...range.getClientRects()].filter(box => box.width > 0.5);
            if (!boxes.length || boxes[0].width < 1.5) continue;
            if (new Set(boxes.map(box => Math.round(box.top))).size > 1) found.push(`broken: ${word[0]}`);
            if (boxes.some(box => box.right > wide + 1 || box.left < -1)) found.push(`cut: ${word[0]}`);
        }
    }
    return [...new Set(found)];
}"""


class Text(NamedTuple):
    """A text of a page with its contrast ratio (WCAG 2, 1 to 21) and both colors as red,green,blue."""

    ratio: float
    text: str
    color: str
    ground: str


class Browser:
    """A page of one local server; `headers` go with one first request to `first`, whose cookie the page keeps."""

    def __init__(self, address: str, *, width: int, height: int, dark: bool = False) -> None:
        self.address, self.size, self.dark = address, {"width": width, "height": height}, dark
        self.refused: list[str] = []  # addresses outside that the page asked for

    def start(self, started: ExitStack, *, first: str = "", headers: dict[str, str] | None = None) -> Page:
        """Start Chromium and open a page; `started` stops it."""
        from playwright.sync_api import sync_playwright

        chromium = started.enter_context(sync_playwright()).chromium
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]
        browser = chromium.launch(executable_path=shutil.which("chromium"), args=options)
        started.callback(browser.close)
        context = browser.new_context(viewport=self.size, color_scheme="dark" if self.dark else "light")
        if first:
            context.request.get(self.address + first, headers=headers)
        context.route("**/*", self._only_local)
        return context.new_page()

    def _only_local(self, route: Route) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.refused.append(route.request.url)
            route.abort()


def contrasts(page: Page, scope: str = "") -> list[Text]:
    """The visible texts of a page, or of the element that `scope` selects, the lowest contrast first."""
    return [Text(**found) for found in page.evaluate(CONTRAST, scope)]


def cut_words(page: Page, scope: str = "") -> list[str]:
    """Words broken over two lines or sticking out of the page, on it or in an element; and a page that scrolls sideways."""
    return page.evaluate(CUT, scope)
