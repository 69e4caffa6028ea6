"""The review panel, headless: what a click or a key does, what is saved, and what must never be shown."""

import pytest

from irae_lib import Assessment, Case
from irae_lib.cases import LabelledCase, read_cases, validated_cases
from irae_lib.errors import SchemaError
from irae_lib.evaluation.calibration import Calibration
from irae_lib.model.answers import Answer
from irae_lib.reviewing.panel import ReviewPanel
from irae_lib.schemas import FIELDS, Severity

ROUTINE = Assessment(
    irae_detected=False,
    affected_systems=(),
    overall_severity="Unknown",
    urgency="routine",
    causality={"likelihood": "Unlikely"},
)


def model(case):
    return Answer(text=ROUTINE.to_json(), assessment=ROUTINE, confidence=dict.fromkeys(FIELDS, 0.9), certainty=0.2)


def broken(case):
    raise RuntimeError(f"cannot read {case.text}")


@pytest.fixture
def panel(tmp_path):
    return make(tmp_path)


def make(folder, **how):
    arms = {"rules alone": None, "tuned": model, "broken": broken}
    return ReviewPanel(validated_cases(), arms, folder=folder, reviewer="anna", **how)


def saved(panel):
    return {case.case.id: case.expected for case in read_cases(panel.path)}


def test_it_opens_with_the_rules_on_the_first_case(panel):
    assert panel.picker.value == "GI-001"
    assert "Grade 2" in panel.view.value
    assert (panel.irae.value, panel.urgency.value) == ("yes", "soon")
    assert panel.count.value.startswith("0 of 11")


def test_another_system_shows_its_answer_and_what_the_rules_raised(panel):
    panel.arm.value = "tuned"
    assert 'class="raised"' in panel.view.value
    assert "90%" in panel.view.value
    assert "not calibrated" in panel.view.value
    assert panel.irae.value == "yes", "the final answer is filled in, not the model's"


def test_accepted_and_changed_fields_are_saved_as_a_case(panel):
    panel.urgency.value = "urgent"
    panel.comment.value = "rising"
    panel.accepts.click()
    one = saved(panel)["GI-001"]
    assert (one.urgency, one.overall_severity, one.reasoning) == ("urgent", Severity.GRADE_2, "rising")
    assert "saved to anna.jsonl" in panel.message.value
    assert panel.count.value.startswith("1 of 11")


def test_a_verdict_from_before_is_filled_in_again(tmp_path):
    first = make(tmp_path)
    first.type("g3 u3 c1 a")
    again = make(tmp_path)
    assert (again.grade.value, again.urgency.value) == ("Grade 3 - Severe", "emergency")
    assert "from before" in again.message.value
    assert again.bar.value == 1


def test_a_line_of_keys_does_it_all(panel):
    panel.keys.value = "g3 u2 shep a n"
    assert panel.keys.value == ""
    assert panel.picker.value == "GI-002"
    one = saved(panel)["GI-001"]
    assert (one.overall_severity, one.urgency) == (Severity.GRADE_3, "urgent")
    assert set(one.affected_systems) == {"Gastrointestinal", "Hepatic"}
    panel.type("o a p")
    assert saved(panel)["GI-002"].irae_detected is False
    assert panel.picker.value == "GI-001"


@pytest.mark.parametrize("line", ["x", "g9", "s", "she", "u", "g3x", "g3 q a"])
def test_a_key_that_means_nothing_stops_the_line(panel, line):
    panel.type(line)
    assert "not a key" in panel.message.value
    assert not panel.path.exists()


def test_contradicting_fields_are_not_saved_and_say_why(panel):
    for box in panel.organs.values():
        box.value = False
    assert panel.accept() is False
    assert "organ system" in panel.message.value
    assert not panel.path.exists()
    panel.irae.value = "no"  # clears organs and grade by itself
    assert panel.grade.value == "Unknown"
    assert panel.accept()


def test_a_disk_that_is_full_is_said_and_nothing_is_counted(panel, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("irae_lib.reviewing.verdicts.write_cases", full)
    assert panel.accept() is False
    assert "not saved: No space left" in panel.message.value
    assert panel.bar.value == 0


def test_a_pasted_note_becomes_a_case_and_markup_stays_text(panel):
    panel.paste.value = "Nivolumab. 8 stools a day over baseline. <img src=x onerror=alert(1)>"
    panel.read.click()
    assert panel.picker.value.startswith("pasted-")
    assert "&lt;img" in panel.view.value
    assert "<img" not in panel.view.value
    panel.accept()
    (one,) = read_cases(panel.path)
    assert one.case.text == panel.paste.value
    assert one.kind == "irae"
    panel.read_note(panel.paste.value)
    assert len(panel.picker.options) == 12, "the same note is the same case"
    panel.read_note("  ")
    assert "empty" in panel.message.value


def test_a_system_that_fails_says_so_without_the_note(panel):
    panel.arm.value = "broken"
    assert "could not answer (RuntimeError)" in panel.view.value
    assert "stools" not in panel.view.value
    assert panel.irae.value == "yes", "the rules have read it all the same"


def test_an_unsure_answer_goes_to_a_person(tmp_path):
    fitted = Calibration(temperatures=dict.fromkeys(FIELDS, 2.0), threshold=0.5, target_risk=0.05, n=10)
    panel = make(tmp_path, fitted={"tuned": fitted})
    panel.arm.value = "tuned"
    assert "not sure" in panel.message.value
    assert "75%" in panel.view.value
    assert "sure, calibrated" in panel.view.value


def test_the_model_is_asked_once_a_case(tmp_path):
    asked = []

    def counting(case):
        asked.append(case.id)
        return model(case)

    panel = ReviewPanel(validated_cases(), {"rules": None, "m": counting}, folder=tmp_path, reviewer="anna")
    for name in ("m", "rules", "m"):
        panel.arm.value = name
    panel.step(1)
    panel.step(-1)
    assert asked == ["GI-001", "GI-002"]


def test_labels_are_nowhere_in_the_view(tmp_path):
    secret = ROUTINE.model_copy(update={"reasoning": "the label says routine"})
    case = LabelledCase(case=Case(id="x", text="Nivolumab. 8 stools a day over baseline."), expected=secret)
    panel = ReviewPanel([case], {"rules": None}, folder=tmp_path, reviewer="anna")
    assert "the label says" not in panel.view.value
    assert panel.irae.value == "yes"


def test_a_damaged_file_of_verdicts_is_named_with_its_line(tmp_path):
    (tmp_path / "anna.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(SchemaError, match="anna.jsonl line 1"):
        make(tmp_path)


GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."


def test_a_note_not_assessed_is_shown_as_such(panel):
    panel.read_note(GERMAN)
    assert "Not assessed: a person must read this note" in panel.view.value
    assert "not English" in panel.view.value
    assert panel.view.value.count(">not assessed</td>") == 5
    assert "placeholders" in panel.message.value


def test_the_box_on_exposure_is_ticked_and_a_note_that_denies_it_is_believed(panel):
    assert panel.exposed.value
    assert panel.exposed.description == "on or after a checkpoint inhibitor"
    panel.read_note("ALT 980 U/L.")
    assert panel.irae.value == "yes"
    assert panel.grade.value.startswith("Grade 4")
    panel.exposed.value = False
    assert panel.irae.value == "no"
    assert panel.urgency.value == "emergency"
    panel.exposed.value = True
    panel.read_note("Never had immunotherapy. ALT 980 U/L.")
    assert panel.irae.value == "no"
    assert panel.urgency.value == "emergency"
