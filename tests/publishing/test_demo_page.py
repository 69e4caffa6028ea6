"""The demonstration page: rules first, consent on the server, fixed error sentences, no note where it must not be."""

import json
import re
import subprocess
import sys

import pytest

from irae_lib import Case, read, review
from irae_lib.evaluation.calibration import Calibration
from irae_lib.evaluation.report import read_calibration
from irae_lib.files import DATA, ROOT
from irae_lib.model.answers import Answer
from irae_lib.publishing import demo_page, page_view
from irae_lib.reporting.note_html import case_html, note_html
from irae_lib.reporting.verdict import NOT_JUDGED
from irae_lib.schemas import FIELDS, Assessment, Severity, Urgency

NOTE = "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). No jaundice. Mother had hepatitis."
ROUTINE = Assessment(
    evidence=["ALT 640 U/L", "rash"],
    irae_detected=False,
    affected_systems=(),
    overall_severity="Unknown",
    urgency="routine",
    causality={"likelihood": "Unlikely"},
)


class Fake:
    """A model that always says the same, or fails with the note in its message."""

    versions = {"base": "b", "adapter": "a"}

    def __init__(self, answer=None, calibration=None, stand_in=False):
        self.calibration, self.stand_in = calibration, stand_in
        self.said, self.asked = answer or Answer(text=ROUTINE.to_json(), assessment=ROUTINE, certainty=0.5), 0

    def answer(self, case):
        self.asked += 1
        if self.said == "fail":
            raise RuntimeError(f"cannot read {case.text}")
        return self.said


def last(engine, note, agreed=True, **how):
    """What the page shows in the end."""
    return list(page_view.assess(engine, note, agreed, **how))[-1]


def words(view):
    """The text of a view as a reader sees it."""
    return re.sub(r"<style>.*?</style>|<[^>]*>", " ", view, flags=re.S)


@pytest.mark.parametrize(
    ("note", "agreed", "message"),
    [
        (NOTE, False, page_view.NOT_AGREED),
        ("  \n", True, page_view.EMPTY),
        ("x" * (page_view.LONGEST + 1), True, page_view.TOO_LONG),
    ],
)
def test_refusals_come_before_the_model_is_asked(note, agreed, message):
    engine = Fake()
    (shown,) = page_view.assess(engine, note, agreed)
    assert words(shown.view).split() == message.split()
    assert shown.audit == ""
    assert engine.asked == 0


def test_the_rules_answer_before_the_model_is_asked():
    engine = Fake()
    shown = page_view.assess(engine, NOTE, True)
    first = next(shown)
    assert engine.asked == 0
    assert "Urgent: act today" in first.view
    assert page_view.READING in first.view
    assert NOT_JUDGED in first.view
    second = next(shown)
    assert engine.asked == 1
    assert page_view.READING not in second.view
    assert '<td data-label="model">Unlikely</td>' in second.view


def test_verdict_reasons_fields_and_note_come_in_this_order():
    view = last(Fake(), NOTE).view
    places = [view.index(mark) for mark in ("Urgent: act today", "<b>F06</b>", "<table", "Coverage:", "<pre>")]
    assert places == sorted(places)


def test_a_model_that_fails_leaves_the_answer_of_the_rules_and_the_note_stays_out_of_the_log(capsys):
    view = last(Fake("fail"), NOTE).view
    assert page_view.NO_MODEL in view
    assert "Urgent: act today" in view
    said = "".join(capsys.readouterr())
    assert "RuntimeError" in said
    assert "Nivolumab" not in said


def test_a_failure_of_the_rules_is_one_fixed_sentence(monkeypatch, capsys):
    def fail(case, **how):
        raise RuntimeError(f"cannot read {case.text}")

    monkeypatch.setattr(page_view, "review", fail)
    (shown,) = page_view.assess(Fake(), NOTE, True)
    assert words(shown.view).split() == page_view.BROKEN.split()
    assert "Nivolumab" not in "".join(capsys.readouterr())


def test_raises_are_shown_with_rule_quote_and_source_and_the_trail_holds_no_note():
    view, trail = last(Fake(), NOTE)
    assert "F06" in view
    assert "CTCAE v5.0" in view
    assert '<a href="#q-0">ALT 640 U/L (ref 7-56)</a>' in view
    assert "rash <b class=missing>(not in the note)</b>" in view
    kept = json.loads(trail)
    assert {"rule": "F06", "field": "urgency", "from": "routine", "to": "urgent"} in kept["corrections"]
    assert "ALT" not in trail
    assert len(kept["note_sha256"]) == 64
    assert kept["adapter"] == "a"


def test_an_answer_below_the_threshold_goes_to_a_person_and_confidences_are_cooled():
    answer = Answer(text="", assessment=ROUTINE, certainty=0.5, confidence=dict.fromkeys(FIELDS, 0.99))
    fitted = Calibration(temperatures=dict.fromkeys(FIELDS, 4.0), threshold=0.6, target_risk=0.05, n=150)
    view = last(Fake(answer, fitted), NOTE).view
    assert page_view.UNSURE in view
    assert view.count("76%") == 5
    assert "confidence, calibrated" in view
    assert page_view.UNSURE not in last(Fake(answer, fitted.model_copy(update={"threshold": 0.4})), NOTE).view
    view = last(Fake(answer), NOTE).view
    assert view.count("99%") == 5
    assert "confidence, not calibrated" in view


def test_a_stand_in_shows_no_percentage_and_is_called_one_for_a_well_patient_too():
    alarm = ROUTINE.model_copy(update={"irae_detected": True, "overall_severity": Severity.GRADE_3})
    answer = Answer(text="", assessment=alarm, certainty=0.02, confidence=dict.fromkeys(FIELDS, 0.98))
    fitted = Calibration(temperatures=dict.fromkeys(FIELDS, 1.0), threshold=0.6, target_risk=0.05, n=150)
    view, trail = last(Fake(answer, fitted, stand_in=True), "Nivolumab, cycle 9. Feels well, no diarrhea.")
    assert "No irAE found: routine" in view
    assert "%" not in words(view)
    assert page_view.STAND_IN in view
    assert page_view.UNSURE not in view
    assert page_view.MORE not in view
    assert "certainty" not in trail


def test_a_model_that_calls_more_than_the_rules_is_not_hidden_behind_them():
    alarm = ROUTINE.model_copy(update={"irae_detected": True, "urgency": Urgency.EMERGENCY})
    well = "Nivolumab, cycle 9. Feels well, no diarrhea."
    view = last(Fake(Answer(text="", assessment=alarm)), well).view
    assert page_view.MORE in view
    assert "No irAE found: routine" in view
    assert "Emergency: act now" in view
    assert page_view.MORE not in last(Fake(), well).view


def test_a_note_too_long_for_the_model_is_read_by_the_rules():
    engine = Fake()
    (shown,) = page_view.assess(engine, NOTE + " Feels well." * 2000, True)
    assert engine.asked == 0
    assert page_view.TOO_LONG_FOR_MODEL in shown.view
    assert "Urgent: act today" in shown.view
    assert f"{page_view.LONGEST_NOTE:,}" in demo_page.LIMITS
    assert f"{page_view.LONGEST:,}" in demo_page.LIMITS


def test_the_calibration_is_that_of_the_report(tmp_path):
    assert read_calibration(tmp_path / "report.json") is None
    found = read_calibration(DATA / "reports" / "rehearsal.json")
    assert found.n == 150
    assert 0 < found.threshold < 1


def test_an_unreadable_answer_leaves_the_rules_alone():
    view = last(Fake(Answer(text="?", unscored="not JSON at character 0")), NOTE).view
    assert "cannot be read: not JSON" in view
    assert view.count("Urgent: act today") == 1
    assert "F06" in view


def test_markup_in_a_note_is_text_and_the_note_comes_out_whole():
    note = NOTE + "\n<script>alert(1)</script> & <b>bold</b>"
    case = Case(text=note)
    view = case_html(note, review(case, ROUTINE), Answer(text="", assessment=ROUTINE))
    assert "<script>" not in view
    assert "&lt;script&gt;" in view
    shown = re.sub(r"<[^>]*>", "", note_html(note, read(case)))
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == note


def test_status_is_shown_by_more_than_colour():
    html = note_html(NOTE, read(Case(text=NOTE)))
    for word, look in (("jaundice", "negated"), ("hepatitis", "other"), ("Nivolumab", "current")):
        assert re.search(f'<span class="{look}"[^>]*>{word}', html), word


@pytest.mark.parametrize("example", demo_page.EXAMPLES, ids=lambda example: example["name"])
def test_every_example_reads_as_it_says(example):
    shown = last(Fake(stand_in=True), example["text"])
    assert json.loads(shown.audit)["verdict"] == example["expect"]


def test_the_examples_hold_an_emergency_a_well_patient_and_a_note_not_assessed():
    assert {example["expect"] for example in demo_page.EXAMPLES} >= {"emergency", "routine", "unread"}


def test_a_note_not_assessed_says_so_and_the_box_on_exposure_counts():
    german = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."
    view, trail = last(Fake(), german)
    assert "Not assessed: a person must read this note" in view
    assert view.count(">not assessed</td>") == 5
    assert json.loads(trail)["assessed"] is False
    assert "Durchfall" not in trail
    assert "Grade 4" in last(Fake(), "ALT 980 U/L.").view
    assert "Grade 4 - Life" not in last(Fake(), "ALT 980 U/L.", exposed=False).view


def click_of(page):
    """The handler of the button, and all events of the page."""
    (click,) = [fn for fn in page.fns.values() if fn.api_name == "assess"]
    return click


def test_the_page_is_built_and_asks_for_consent_on_the_server():
    pytest.importorskip("gradio")
    click = click_of(demo_page.build(Fake()))
    assert page_view.NOT_AGREED in list(click.fn(NOTE, None))[-1][0]
    assert page_view.EMPTY in list(click.fn(None, True))[-1][0]
    assert click.concurrency_limit == 1


def test_while_the_page_reads_nothing_can_be_edited_and_the_button_says_so():
    pytest.importorskip("gradio")
    first, *_, end = list(click_of(demo_page.build(Fake())).fn(NOTE, True))
    assert first[:2] == ["", ""]
    assert {update["interactive"] for update in first[2:]} == {False}
    assert {update["interactive"] for update in end[2:]} == {True}
    assert "Reading ..." in [update.get("value") for update in first[2:]]


@pytest.mark.parametrize("stand_in", [True, False])
def test_the_band_is_on_top_where_the_model_is_a_stand_in(stand_in):
    pytest.importorskip("gradio")
    page = demo_page.build(Fake(stand_in=stand_in))
    texts = [str(block.value) for block in page.blocks.values() if getattr(block, "value", None)]
    assert any("stand-in without clinical knowledge" in text for text in texts) == stand_in


def test_without_gradio_the_page_ends_with_one_sentence():
    code = (
        "import sys; sys.modules['gradio'] = None\n"
        "import importlib.util as iu; find = iu.find_spec\n"
        "iu.find_spec = lambda name, *a: None if name == 'gradio' else find(name, *a)\n"
        "from irae_lib.publishing import demo_page; demo_page.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == "the demo page needs Gradio, which is not installed: pip install gradio"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"IRAE_ADAPTER": "no such/folder here"}, "is neither a folder of this checkout nor a Hub id"),
        ({"IRAE_ADAPTER": str(DATA / "page")}, "holds no irae_adapter.json"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_with_one_sentence(variables, said, monkeypatch, capsys):
    pytest.importorskip("gradio")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        demo_page.main()
    assert said in str(end.value)
    assert "\n" not in str(end.value)
