"""The demo page in a browser, as a reader sees it: contrast, cut words, what clears an answer, what it asks outside.

Needs a Chromium and two packages: `pip install gradio playwright`.
"""

import shutil

import pytest
from browser import contrasts, cut_words
from page import STATES, DemoPage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[(1280, 800, False), (390, 844, True)], ids=["light desktop", "dark phone"])
def demo(request):
    """The page with the rehearsal adapter, started once for each look."""
    pytest.importorskip("gradio", reason="gradio is not installed")
    pytest.importorskip("playwright", reason="playwright is not installed")
    if not shutil.which("chromium"):
        pytest.skip("no program named chromium on the PATH")
    width, height, dark = request.param
    with DemoPage(width=width, height=height, dark=dark) as demo:
        yield demo


@pytest.mark.parametrize("state", ["", *STATES.values()], ids=["empty", *STATES])
def test_every_text_can_be_read_and_no_word_is_cut(demo, state):
    if state:
        demo.assess(state)
    texts = contrasts(demo.page)
    assert len(texts) > 20
    assert [text for text in texts if text.ratio < 4.5] == []
    assert cut_words(demo.page) == []


def test_the_answer_scrolls_into_view_and_a_changed_note_or_exposure_clears_it(demo):
    exposed = demo.page.get_by_label("On or after a checkpoint inhibitor")
    for change in (lambda: demo.page.get_by_label("Note").first.fill("x"), exposed.uncheck, exposed.check):
        demo.page.evaluate("window.scrollTo(0, 0)")
        demo.assess("Raised ALT")
        assert "act today" in demo.verdict()
        assert 0 <= demo.page.locator(".irae .verdict").first.bounding_box()["y"] < 400
        change()
        demo.page.locator(".irae .verdict").first.wait_for(state="detached", timeout=5_000)


def test_a_reason_and_its_quote_in_the_note_lead_to_each_other(demo):
    demo.assess("Raised ALT")
    demo.page.locator("ul.why a").first.click()
    assert demo.page.locator(":target").inner_text() == "ALT 640 U/L (ref 7-56)"
    demo.page.locator("pre a.basis").first.click()
    assert demo.page.locator(":target").inner_text().startswith("F06")


def test_characters_are_counted_and_the_limits_are_said(demo):
    demo.page.get_by_label("Note").first.fill("x" * 1234)
    counter = demo.page.get_by_text("1,234 of 200,000 characters; the model reads up to 20,000")
    counter.wait_for(timeout=5_000)


def test_without_consent_nothing_is_read(demo):
    demo.page.get_by_role("button", name="Raised ALT", exact=True).click()
    demo.page.get_by_label("Synthetic or de-identified").uncheck()
    demo.page.get_by_role("button", name="Assess", exact=True).click()
    demo.page.get_by_text("Tick the box first").wait_for(timeout=10_000)
    assert demo.verdict() == ""


def test_the_audit_trail_can_be_read(demo):
    demo.assess("Raised ALT")
    demo.page.get_by_role("button", name="Audit trail").click()
    demo.page.get_by_text("note_sha256").wait_for(timeout=5_000)
    assert [text for text in contrasts(demo.page) if text.ratio < 4.5] == []
    wide = demo.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_nothing_is_asked_outside_and_the_server_prints_its_address_alone(demo):
    assert demo.refused == []
    assert [line for line in demo.said if line and "Loading weights" not in line] == [
        f"The page is at {demo.page.url.partition('#')[0]} (Ctrl-C ends it)"
    ]
