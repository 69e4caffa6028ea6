"""The notebooks in JupyterLab, as a reader sees them: everything runs, nothing warns, figures and widgets are drawn.

Needs a Chromium and two packages that nothing else does: `pip install jupyterlab playwright`.
"""

import shutil

import pytest
from browser import contrasts, cut_words
from lab import Lab, copy_checkout, options

from irae_lib.cases import read_cases


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """One JupyterLab for all tests of this file, over a copy of the checkout."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    pytest.importorskip("playwright", reason="playwright is not installed")
    if not shutil.which("chromium"):
        pytest.skip("no program named chromium on the PATH")
    folder = tmp_path_factory.mktemp("lab")
    with Lab(copy_checkout(folder / "copy"), folder / "runs") as lab:
        yield lab


@pytest.mark.parametrize(
    "line", ["OUT 05 06 --dark --width 390", "--width 390 OUT --dark 05 06", "OUT --width 390 05 --dark 06"]
)
def test_options_go_in_any_order(line):
    wanted = options(line.split())
    assert (str(wanted.out), wanted.names, wanted.width, wanted.dark) == ("OUT", ["05", "06"], 390, True)


@pytest.mark.slow
def test_00_runs_from_top_to_bottom_without_a_warning(lab, tmp_path):
    lab.open("00_rehearsal_base")
    lab.run_all(timeout=240)
    assert lab.errors() == []
    assert [cell["execution_count"] for cell in lab.cells()] == list(range(1, len(lab.cells()) + 1))
    figures = lab.page.locator(".jp-OutputArea-output img")
    assert figures.count() >= 1
    assert figures.first.bounding_box()["width"] > 300
    # The badge is the only thing that the page may ask from outside; the driver refuses it.
    assert all(address.startswith("https://colab.research.google.com/assets/") for address in lab.refused)
    pictures = lab.screenshots(tmp_path)
    assert len(pictures) > 3
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in pictures)


@pytest.mark.slow
def test_05_is_gone_through_by_clicks_and_keys_and_goes_on_after_a_dead_kernel(lab, tmp_path):
    def view() -> str:
        return lab.page.locator(".widget-html-content:has(pre)").last.inner_html()

    lab.open("05_review_cases")
    lab.run_all(timeout=300)
    assert lab.errors() == []
    verdicts = lab.runs / "reviews" / "reviewer.jsonl"
    lab.choose("case", "HEP-002")
    lab.press("tuned")
    lab.page.get_by_text("the model's answer as it came").first.wait_for()  # it is asked in a thread
    lab.press("emergency · u3")
    lab.press("Accept and go on · a")
    assert [(c.case.id, c.expected.urgency.value) for c in read_cases(verdicts)] == [("HEP-002", "emergency")]
    lab.press("rules alone")
    keys = lab.widget("text", "keys").locator("input").first
    keys.press_sequentially("g1u0 c1 a")
    lab.settle()
    assert [c.case.id for c in read_cases(verdicts)] == ["HEP-002", "LUNG-001"]
    assert read_cases(verdicts)[1].expected.overall_severity.value == "Grade 1 - Mild"
    keys.press("Enter")
    lab.settle()
    assert keys.input_value() == ""
    lab.write("note", "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). <script>alert(1)</script>")
    lab.press("Read the pasted note")
    assert "&lt;script&gt;" in view()
    assert "11.43 x ULN" in view()
    lab.press("Accept and go on · a")
    assert lab.page.get_by_text("not accepted: choose causality.").count() == 1
    keys.press_sequentially("c1 a")
    lab.settle()
    assert len(read_cases(verdicts)) == 3
    assert lab.errors() == []
    assert len(lab.screenshots(tmp_path)) > 3
    lab.kill_kernel()
    lab.restart_kernel_and_run_all()
    lab.choose("case", "HEP-002 ✓")
    assert lab.page.get_by_text("your verdict from before is filled in").count() == 1
    assert len(read_cases(verdicts)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_panel_is_readable_in_both_themes_and_a_claim_leads_to_its_source_and_back(lab, theme):
    page = lab.page
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_timeout(1500)
    lab.choose("case", "GI-001")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_timeout(500)
        assert contrasts(page, ".irae-panel")[0].ratio >= 4.5
        assert cut_words(page, ".irae-panel") == []
    page.locator(".irae-panel .why a").last.click()
    assert "panel-q-" in page.locator(".irae-panel .irae :target").get_attribute("id")
    page.locator(".irae-panel pre a.basis").last.click()
    assert "panel-c-" in page.locator(".irae-panel .irae :target").get_attribute("id")
