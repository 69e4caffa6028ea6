"""Pictures of 05's review panel in JupyterLab, light and dark, wide and narrow, and the contrast of its texts.

    pip install jupyterlab playwright        # and a Chromium on the PATH
    python tests/tools/panel_pictures.py OUT_FOLDER [--keep]

Prints the lowest contrast of each theme and every text below 4.5 (WCAG 2, level AA), text that is cut, and a click from
a reason to its quote and back. `--keep` writes `data/pictures/panel.png` for notebook 05, in 64 colors.
"""

import argparse
import io
import tempfile
from pathlib import Path

from browser import contrasts, cut_words
from lab import Lab, copy_checkout
from PIL import Image

from irae_lib.files import DATA

PANEL = ".irae-panel"
NOTE = """Context: 61-year-old, melanoma. Ipilimumab + nivolumab, third dose two weeks ago.
Labs: ALT 640 U/L (ref 7-56), bilirubin 0.9 mg/dL. Creatinine 1.0, baseline 0.9 mg/dL.
Symptoms: Five loose stools a day over baseline since Monday, no blood, no fever, no abdominal pain.
Notes: Rash in 2024, resolved. Mother had autoimmune hepatitis. No jaundice. Recheck TSH next visit."""


def pictures(lab: Lab, out: Path, name: str) -> None:
    """The panel from top to bottom, one PNG per screen."""
    page, panel = lab.page, lab.page.locator(PANEL).last
    view = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer").first
    top = panel.evaluate(
        "(node, view) => node.getBoundingClientRect().top - view.getBoundingClientRect().top + view.scrollTop",
        view.element_handle(),
    )
    tall, high = panel.evaluate("node => node.getBoundingClientRect().height"), view.evaluate("v => v.clientHeight")
    for number, at in enumerate(range(int(top) - 8, int(top + tall), high - 40)):
        view.evaluate("(view, top) => view.scrollTo({top, behavior: 'instant'})", at)
        page.wait_for_timeout(300)
        page.screenshot(path=out / f"{name}_{number}.png")


def keep_picture(lab: Lab) -> None:
    """The whole panel as the picture of notebook 05."""
    lab.page.set_viewport_size({"width": 1280, "height": 1500})
    lab.page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
    lab.page.wait_for_timeout(1500)
    panel = lab.page.locator(PANEL).last
    panel.evaluate("node => node.scrollIntoView({block: 'start', behavior: 'instant'})")
    lab.page.wait_for_timeout(500)
    shot = Image.open(io.BytesIO(lab.page.screenshot(clip=panel.bounding_box()))).convert("RGB")
    small = shot.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(DATA / "pictures" / "panel.png", optimize=True)


def there_and_back(lab: Lab) -> str:
    """Click a reason's quote and then the marked quote; where the page is after each."""
    page = lab.page
    page.locator(f"{PANEL} .why a").last.click()
    page.wait_for_timeout(300)
    there = page.evaluate("document.querySelector('.irae-panel .irae :target')?.id")
    page.locator(f"{PANEL} pre a.basis").last.click()
    page.wait_for_timeout(300)
    return f"{there}, then {page.evaluate('''document.querySelector('.irae-panel .irae :target')?.id''')}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", action="store_true", help="write data/pictures/panel.png")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        root = copy_checkout(Path(aside) / "copy")
        with Lab(root, Path(aside) / "runs", width=1280, height=800) as lab:
            lab.open("05_review_cases")
            lab.run_all(timeout=600)
            lab.write("note", NOTE)
            lab.press("Read the pasted note")
            for size, width, height in (("wide", 1280, 800), ("narrow", 390, 844)):
                lab.page.set_viewport_size({"width": width, "height": height})
                for theme in ("Light", "Dark"):
                    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
                    lab.page.evaluate(change, f"JupyterLab {theme}")
                    lab.page.wait_for_timeout(1500)
                    name = f"{size}_{theme.lower()}"
                    pictures(lab, wanted.out, name)
                    texts = contrasts(lab.page, PANEL)
                    print(f"{name}: lowest contrast {texts[0].ratio:.2f} of {len(texts)} texts")
                    for line in [*(text for text in texts if text.ratio < 4.5), *cut_words(lab.page, PANEL)]:
                        print("   ", line)
            if wanted.keep:
                keep_picture(lab)
            print("links:", there_and_back(lab))
            print("errors:", lab.errors())


if __name__ == "__main__":
    main()
