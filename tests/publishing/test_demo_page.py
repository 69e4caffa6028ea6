"""The demonstration page: consent on the server, fixed error sentences, nothing of a note where it must not be."""

import json
import re

import pytest

from irae_lib import Case, read, review
from irae_lib.evaluation.calibration import Calibration
from irae_lib.evaluation.report import read_calibration
from irae_lib.files import DATA
from irae_lib.model.answers import Answer
from irae_lib.publishing import demo_page
from irae_lib.reporting.note_html import case_html, note_html
from irae_lib.schemas import FIELDS, Assessment

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

    def __init__(self, answer=None, calibration=None):
        self.calibration = calibration
        self.said, self.asked = answer or Answer(text=ROUTINE.to_json(), assessment=ROUTINE, certainty=0.5), 0

    def answer(self, case):
        self.asked += 1
        if self.said == "fail":
            raise RuntimeError(f"cannot read {case.text}")
        return self.said


@pytest.mark.parametrize(
    ("note", "agreed", "message"),
    [
        (NOTE, False, demo_page.NOT_AGREED),
        ("  \n", True, demo_page.EMPTY),
        ("x" * (demo_page.LONGEST + 1), True, demo_page.TOO_LONG),
    ],
)
def test_refusals_come_before_the_model_is_asked(note, agreed, message):
    engine = Fake()
    assert demo_page.assess(engine, note, agreed) == (message, "", "")
    assert engine.asked == 0


def test_a_failure_is_one_fixed_sentence_and_the_note_stays_out_of_the_log(capsys):
    assert demo_page.assess(Fake("fail"), NOTE, True) == (demo_page.BROKEN, "", "")
    said = "".join(capsys.readouterr())
    assert "RuntimeError" in said
    assert "Nivolumab" not in said


def test_raises_are_shown_with_rule_quote_and_source_and_the_trail_holds_no_note():
    message, view, trail = demo_page.assess(Fake(), NOTE, True)
    assert message == ""
    assert "F06" in view
    assert "CTCAE v5.0" in view
    assert "ALT 640 U/L (ref 7-56)" in view
    assert "rash <b class=missing>(not in the note)</b>" in view
    kept = json.loads(trail)
    assert {"rule": "F06", "field": "urgency", "from": "routine", "to": "urgent"} in kept["corrections"]
    assert "ALT" not in trail
    assert len(kept["note_sha256"]) == 64
    assert kept["adapter"] == "a"


def test_an_answer_below_the_threshold_goes_to_a_person_and_confidences_are_cooled():
    answer = Answer(text="", assessment=ROUTINE, certainty=0.5, confidence=dict.fromkeys(FIELDS, 0.99))
    fitted = Calibration(temperatures=dict.fromkeys(FIELDS, 4.0), threshold=0.6, target_risk=0.05, n=150)
    message, view, _ = demo_page.assess(Fake(answer, fitted), NOTE, True)
    assert message == demo_page.UNSURE
    assert view.count("76%") == 5
    assert "sure, calibrated" in view
    assert demo_page.assess(Fake(answer, fitted.model_copy(update={"threshold": 0.4})), NOTE, True)[0] == ""
    _, view, _ = demo_page.assess(Fake(answer), NOTE, True)
    assert view.count("99%") == 5
    assert "sure, not calibrated" in view


def test_the_calibration_is_that_of_the_report(tmp_path):
    assert read_calibration(tmp_path / "report.json") is None
    found = read_calibration(DATA / "reports" / "rehearsal.json")
    assert found.n == 150
    assert 0 < found.threshold < 1


def test_an_unreadable_answer_leaves_the_rules_alone():
    _, view, _ = demo_page.assess(Fake(Answer(text="?", unscored="not JSON at character 0")), NOTE, True)
    assert "cannot be read: not JSON" in view
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


def test_every_example_can_be_assessed():
    assert all(demo_page.assess(Fake(), note, True)[0] == "" for note in demo_page.EXAMPLES)


def test_the_page_is_built_and_asks_for_consent_on_the_server():
    pytest.importorskip("gradio")
    page = demo_page.build(Fake())
    (click,) = [fn for fn in page.fns.values() if fn.api_name == "assess"]
    assert click.fn(NOTE, None)[0] == demo_page.NOT_AGREED
    assert click.fn(None, True)[0] == demo_page.EMPTY
    assert click.concurrency_limit == 1


def test_a_note_not_assessed_says_so_and_the_box_on_exposure_counts():
    german = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."
    message, view, trail = demo_page.assess(Fake(), german, True)
    assert message == demo_page.NOT_READ
    assert view.count("<td>not assessed") == 5
    assert json.loads(trail)["assessed"] is False
    assert "Durchfall" not in trail
    assert "Grade 4" in demo_page.assess(Fake(), "ALT 980 U/L.", True, True)[1]
    assert "Grade 4 - Life" not in demo_page.assess(Fake(), "ALT 980 U/L.", True, False)[1]
