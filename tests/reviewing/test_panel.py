"""The review panel, headless: what a click or a key does, what is saved, and what must never be shown."""

import re
import threading

import pytest

from irae_lib import Assessment, Case
from irae_lib.cases import LabelledCase, read_cases, validated_cases
from irae_lib.errors import AccessError, SchemaError
from irae_lib.evaluation.calibration import Calibration
from irae_lib.model.answers import Answer
from irae_lib.reviewing.arms import Arm
from irae_lib.reviewing.opening import ToReview, to_review
from irae_lib.reviewing.panel import ReviewPanel
from irae_lib.schemas import FIELDS, Severity

ROUTINE = Assessment(
    irae_detected=False,
    affected_systems=(),
    overall_severity="Unknown",
    urgency="routine",
    causality={"likelihood": "Unlikely"},
)
GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."


def model(case, stop=None):
    return Answer(text=ROUTINE.to_json(), assessment=ROUTINE, confidence=dict.fromkeys(FIELDS, 0.9), certainty=0.2)


def broken(case, stop):
    raise RuntimeError(f"cannot read {case.text}")


@pytest.fixture
def panel(tmp_path):
    return make(tmp_path)


def make(folder, cases=None, **options):
    arms = {"rules alone": None, "tuned": Arm(model), "broken": Arm(broken)} | options.pop("arms", {})
    cases = to_review(validated_cases()) if cases is None else cases
    return ReviewPanel(cases, arms, folder=folder, reviewer="anna", **options)


def ask(panel, arm):
    """Choose who answers, and wait for the answer."""
    panel.frame.arm.value = arm
    panel.wait()


def saved(panel):
    return {case.case.id: case.expected for case in read_cases(panel.path)}


def message(panel):
    return re.sub("<[^>]*>", "", panel.frame.message.value)


def status(panel):
    return re.sub("<[^>]*>", " ", panel.frame.status.value)


# --- view -----------------------------------------------------------------------------------------------


def test_it_opens_with_the_rules_on_the_first_case(panel):
    assert panel.case.id == "GI-001"
    assert "Grade 2" in panel.frame.view.value
    assert (panel.form.irae.value, panel.form.urgency.value) == ("yes", "soon")
    assert "0 of 11 reviewed" in panel.frame.count.value


def test_another_arm_shows_its_answer_and_what_the_rules_raised(panel):
    ask(panel, "tuned")
    assert 'class="raised"' in panel.frame.view.value
    assert "90%" in panel.frame.view.value
    assert "not calibrated" in panel.frame.view.value
    assert panel.form.irae.value == "yes", "the final answer is filled in, not the model's"
    assert panel.form.likelihood.value == "Unlikely", "the model has judged causality"


def test_the_rules_alone_leave_causality_to_the_reviewer(panel):
    assert panel.form.likelihood.value is None
    assert "not judged by the rules" in panel.frame.view.value
    assert "do not judge causality" in status(panel)
    assert panel.accept() is False
    assert message(panel) == "GI-001 not accepted: choose causality."
    assert not panel.path.exists()
    panel.type("c1 a")
    assert saved(panel)["GI-001"].causality.likelihood == "Possible"


def test_nothing_is_chosen_in_a_note_that_was_not_assessed(panel):
    panel.read_note(GERMAN)
    assert "Not assessed: a person must read this note" in panel.frame.view.value
    assert [field.value for field in (panel.form.irae, panel.form.grade, panel.form.urgency)] == [None] * 3
    assert not any(box.value for box in panel.form.organs.values())
    assert "choose every field" in status(panel)
    panel.accept()
    assert "choose irAE, grade, urgency, causality" in message(panel)
    ask(panel, "tuned")
    assert panel.form.irae.value is None, "a model's answer to such a note is not preselected either"
    panel.type("i sg g3 u2 c0 a")
    assert saved(panel)[next(iter(saved(panel)))].overall_severity is Severity.GRADE_3


def test_a_claim_links_to_its_quote_in_the_note_and_back(panel):
    view = panel.frame.view.value
    links, ids = re.findall(r'href="#(panel-[\w-]+)"', view), re.findall(r'id="(panel-[\w-]+)"', view)
    assert {name[:8] for name in links} == {"panel-q-", "panel-c-"}
    assert set(links) <= set(ids)


def test_a_rule_that_raised_several_fields_is_one_entry(panel):
    view = panel.frame.view.value
    assert view.count("<b>F02</b>") == 1
    assert len(re.findall(r"irAE: yes; organ: .*?; grade: .*?; urgency: ", view)) == 1


def test_labels_are_nowhere_in_the_view(tmp_path):
    secret = ROUTINE.model_copy(update={"reasoning": "the label says routine"})
    case = LabelledCase(case=Case(id="x", text="Nivolumab. 8 stools a day over baseline."), expected=secret)
    panel = make(tmp_path, to_review([case]))
    assert "the label says" not in panel.frame.view.value
    assert panel.form.irae.value == "yes"


def test_the_reason_of_a_worklist_is_shown(tmp_path):
    panel = make(tmp_path, [ToReview(Case(id="w", text="Nivolumab. ALT 640 U/L."), why="1 of 7: urgent, <b>Hepatic")])
    assert "1 of 7: urgent, &lt;b&gt;Hepatic" in panel.frame.status.value


# --- verdicts -------------------------------------------------------------------------------------------


def test_accepted_and_changed_fields_are_saved_as_a_case_and_the_next_one_is_shown(panel):
    panel.form.urgency.value = "urgent"
    panel.form.likelihood.value = "Possible"
    panel.form.comment.value = "rising"
    panel.frame.buttons["a"].click()
    one = saved(panel)["GI-001"]
    assert (one.urgency, one.overall_severity, one.reasoning) == ("urgent", Severity.GRADE_2, "rising")
    assert message(panel) == "GI-001 saved to anna.jsonl"
    assert "1 of 11 reviewed" in panel.frame.count.value
    assert panel.case.id == "GI-002"


def test_accept_goes_to_the_next_open_case_and_stays_on_the_last(tmp_path):
    panel = make(tmp_path, to_review(validated_cases()[:3]))
    panel.step(1)
    for expected in ("HEP-001", "GI-001", "GI-001"):
        panel.type("c0 a")
        assert panel.case.id == expected
    assert len(saved(panel)) == 3


def test_a_verdict_from_before_is_filled_in_again(tmp_path):
    make(tmp_path).type("g3 u3 c1 a")
    again = make(tmp_path)
    assert (again.form.grade.value, again.form.urgency.value) == ("Grade 3 - Severe", "emergency")
    assert again.form.likelihood.value == "Possible"
    assert "from before" in status(again)
    assert again.frame.bar.value == 1


def test_contradicting_fields_are_not_saved_and_say_why(panel):
    panel.type("c0")
    for box in panel.form.organs.values():
        box.value = False
    assert panel.accept() is False
    assert "organ system" in message(panel)
    assert not panel.path.exists()
    panel.form.irae.value = "no"  # clears organs, grade and a likely cause by itself
    assert (panel.form.grade.value, panel.form.likelihood.value) == ("Unknown", None)
    panel.type("c0")
    assert panel.accept() is False
    assert "causality is Unlikely or Uncertain" in message(panel)
    panel.type("c2")
    assert panel.accept()


def test_a_full_disk_is_told_and_nothing_is_counted(panel, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("irae_lib.reviewing.verdicts.write_cases", full)
    panel.type("c0")
    assert panel.accept() is False
    assert "anna.jsonl not written: No space left" in message(panel)
    assert panel.frame.bar.value == 0


def test_a_comment_that_is_too_long_is_refused_instead_of_cut(panel):
    panel.form.comment.value = "x" * 601
    panel.type("c0 a")
    assert "the comment has 601 characters, at most 600" in message(panel)
    assert not panel.path.exists()


def test_a_damaged_file_of_verdicts_is_named_with_its_line(tmp_path):
    (tmp_path / "anna.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(SchemaError, match="anna.jsonl line 1"):
        make(tmp_path)


# --- keys -----------------------------------------------------------------------------------------------


def test_a_line_of_keys_does_it_all(panel):
    panel.keys.widget.value = "g3 u2 sh c0 a"
    one = saved(panel)["GI-001"]
    assert (one.overall_severity, one.urgency) == (Severity.GRADE_3, "urgent")
    assert set(one.affected_systems) == {"Gastrointestinal", "Hepatic"}
    assert panel.case.id == "GI-002"
    panel.type("o c2 a p")
    assert saved(panel)["GI-002"].irae_detected is False
    assert panel.case.id == "GI-002"


def test_each_key_acts_as_soon_as_it_is_typed(panel):
    for end in range(1, len("g4u3 c0 a") + 1):
        panel.keys.widget.value = "g4u3 c0 a"[:end]
    one = saved(panel)["GI-001"]
    assert (one.overall_severity, one.urgency) == (Severity.GRADE_4, "emergency")
    assert panel.case.id == "GI-002"
    for text in ("g4u3 c0 ", "g4u3 c0", "g4u3 c", "g4u3 c", "g4u3"):  # deleting does nothing
        panel.keys.widget.value = text
    assert len(saved(panel)) == 1
    panel.keys._entered(panel.keys.widget, {"event": "submit"}, [])
    assert panel.keys.widget.value == ""


@pytest.mark.parametrize("line", ["y", "g9", "s", "sha", "u", "g3y", "g3 y a", "scardiac", "c0 cardiac a"])
def test_a_key_that_means_nothing_stops_the_line(panel, line):
    panel.type(line)
    assert "not a key" in message(panel)
    assert not panel.path.exists()


@pytest.mark.parametrize("one_by_one", [False, True])
def test_keys_after_a_refused_accept_do_nothing_and_the_reason_stays(panel, one_by_one):
    line = "g3 a n u3"
    for end in range(1, len(line) + 1) if one_by_one else [len(line)]:
        panel.keys.widget.value = line[:end]
    assert message(panel) == "GI-001 not accepted: choose causality."
    assert panel.case.id == "GI-001"
    assert panel.form.urgency.value == "soon"
    panel.keys._entered(panel.keys.widget, {"event": "submit"}, [])
    assert message(panel) == "GI-001 not accepted: choose causality.", "Enter alone does not clear it"
    panel.keys.widget.value = "c0 a"
    assert message(panel) == "GI-001 saved to anna.jsonl"


def test_a_refusal_stays_in_view_on_the_way_to_another_case(panel):
    panel.accept()
    panel.step(1)
    assert panel.case.id == "GI-002"
    assert message(panel) == "GI-001 not accepted: choose causality."


def test_every_key_is_on_a_label_and_none_begins_another(panel):
    keys = panel.keys.keys
    assert not [(a, b) for a in keys for b in keys if a != b and b.startswith(a)]
    widgets = (panel.form.irae, panel.form.grade, panel.form.urgency, panel.form.likelihood)
    labels = [label for widget in widgets for label, _ in widget.options]
    labels += [box.description for box in panel.form.organs.values()] + [panel.quotes.picker.description]
    labels += [button.description for button in (*panel.frame.buttons.values(), *panel.quotes.buttons.values())]
    assert {label.rpartition(" · ")[2] for label in labels} == set(keys)


# --- undo, filter, quotes -------------------------------------------------------------------------------


def test_undo_takes_back_fields_one_by_one_and_then_the_last_accept(panel):
    panel.type("c0 g3 o")
    assert panel.form.grade.value == "Unknown"
    panel.undo()
    assert (panel.form.irae.value, panel.form.grade.value) == ("yes", "Grade 3 - Severe"), "one step for one click"
    panel.undo()
    assert panel.form.grade.value.startswith("Grade 2")
    panel.type("a c1 z")
    assert panel.case.id == "GI-002"
    assert panel.form.likelihood.value is None
    panel.type("z")
    assert panel.case.id == "GI-001"
    assert panel.form.likelihood.value == "Highly likely", "as it was when it was accepted"
    assert not panel.path.exists()
    assert panel.frame.bar.value == 0
    panel.type("a p")
    assert saved(panel).keys() == {"GI-001"}


def test_undo_of_a_second_verdict_brings_the_first_back(panel):
    panel.type("c0 a p u3 a z")
    assert saved(panel)["GI-001"].urgency == "soon"
    assert panel.form.urgency.value == "emergency", "the fields as they were before accept"
    panel.type("z z")
    assert not panel.path.exists()
    panel.type("z z")
    assert "nothing to undo" in message(panel)


def test_the_list_is_filtered_by_status(panel):
    panel.type("c0 a")
    panel.frame.filter.value = "open"
    assert [name for _, name in panel.frame.picker.options] == [c.case.id for c in validated_cases()[1:]]
    panel.frame.filter.value = "done"
    assert [name for _, name in panel.frame.picker.options] == ["GI-001", "GI-002"], "the case in view stays"
    panel.step(-1)
    assert panel.frame.picker.options[0][0] == "GI-001 ✓"
    panel.frame.filter.value = "all"
    assert len(panel.frame.picker.options) == 11
    assert panel.case.id == "GI-001"


def test_the_edges_of_a_quote_move_and_what_is_saved_is_in_the_note(panel):
    panel.read_note("Nivolumab cycle three. ALT 640 U/L (ref 7-56) since Monday.")
    assert panel.quotes.quotes.texts == ("ALT 640 U/L (ref 7-56)",)
    panel.type("[ ] ]")
    assert panel.quotes.quotes.texts == ("three. ALT 640 U/L (ref 7-56) since Monday.",)
    panel.type("{ } z")
    assert panel.quotes.quotes.texts == ("ALT 640 U/L (ref 7-56) since Monday.",)
    panel.quotes.new.value = "Nivolumab cycle"
    panel.quotes.new.value = "not in it"
    assert "not in the note word for word" in message(panel)
    panel.type("c0 a")
    (one,) = saved(panel).values()
    assert one.evidence == ("ALT 640 U/L (ref 7-56) since Monday.", "Nivolumab cycle")


def test_quotes_are_chosen_and_removed(panel):
    panel.read_note("Nivolumab. ALT 640 U/L (ref 7-56). Creatinine 6.0 mg/dL, baseline 1.0.")
    first, second = panel.quotes.quotes.texts
    panel.type("q x")
    assert panel.quotes.quotes.texts == (first,)
    panel.type("z")
    assert panel.quotes.quotes.texts == (first, second)
    panel.quotes.picker.value = 1
    assert second in re.sub("<[^>]*>", "", panel.quotes._context.value)


# --- pasted notes ---------------------------------------------------------------------------------------


def test_a_pasted_note_becomes_a_case_named_by_its_first_words_and_markup_stays_text(panel):
    panel.frame.paste.value = "Nivolumab. 8 stools a day over baseline. <img src=x onerror=alert(1)>"
    panel.frame.read.click()
    assert re.fullmatch(r"pasted-[0-9a-f]{10}", panel.case.id), "an id is printed elsewhere: no note text in it"
    label = dict((name, label) for label, name in panel.frame.picker.options)[panel.case.id]
    assert re.fullmatch(r"Nivolumab\. 8 stools a da · [0-9a-f]{4}", label)
    assert "&lt;img" in panel.frame.view.value
    assert "<img" not in panel.frame.view.value
    panel.type("c0 a")
    (one,) = read_cases(panel.path)
    assert one.case.text == panel.frame.paste.value
    assert one.kind == "irae"
    panel.read_note(panel.frame.paste.value)
    assert len(panel.frame.picker.options) == 12, "the same note is the same case"
    panel.read_note("  ")
    assert "empty" in message(panel)


def test_a_note_of_200_kB_is_shown_in_a_box_that_scrolls(panel):
    panel.read_note(
        "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56).\n" + "Seen in clinic, no complaints, plan unchanged.\n" * 4300
    )
    assert len(panel.case.text) > 190_000
    assert panel.form.grade.value == "Grade 3 - Severe"
    assert re.search(r"\.source pre\{[^}]*max-height:[^}]*overflow:auto", panel.frame.view.value)
    assert 'class="source"' in panel.frame.view.value


def test_the_box_on_exposure_is_ticked_and_a_note_that_denies_it_is_believed(panel):
    assert panel.frame.exposed.value
    assert panel.frame.exposed.description == "on or after a checkpoint inhibitor"
    panel.read_note("ALT 980 U/L.")
    assert panel.form.irae.value == "yes"
    assert panel.form.grade.value.startswith("Grade 4")
    panel.frame.exposed.value = False
    assert panel.form.irae.value == "no"
    assert panel.form.urgency.value == "emergency"
    panel.frame.exposed.value = True
    panel.read_note("Never had immunotherapy. ALT 980 U/L.")
    assert panel.form.irae.value == "no"
    assert panel.form.urgency.value == "emergency"


# --- models ---------------------------------------------------------------------------------------------


def test_an_arm_that_fails_says_so_without_the_note(panel):
    ask(panel, "broken")
    assert "broken could not answer (RuntimeError); the rules" in status(panel)
    assert "cannot read" not in panel.frame.status.value + panel.frame.view.value
    assert panel.form.irae.value == "yes", "the rules have read it all the same"


def test_an_error_of_the_library_is_told_in_full(tmp_path):
    def closed(case, stop):
        raise AccessError("the license is not accepted")

    panel = make(tmp_path, arms={"closed": Arm(closed)})
    ask(panel, "closed")
    assert "closed could not answer: the license is not accepted" in status(panel)


def test_an_unsure_answer_goes_to_a_person(tmp_path):
    fitted = Calibration(temperatures=dict.fromkeys(FIELDS, 2.0), threshold=0.5, target_risk=0.05, n=10)
    panel = make(tmp_path, fitted={"tuned": fitted})
    ask(panel, "tuned")
    assert "not sure" in status(panel)
    assert "75%" in panel.frame.view.value
    assert "sure, calibrated" in panel.frame.view.value


def test_the_model_is_asked_once_a_case(tmp_path):
    asked = []

    def counting(case, stop):
        asked.append(case.id)
        return model(case)

    panel = make(tmp_path, arms={"m": Arm(counting)})
    for name in ("m", "rules alone", "m"):
        ask(panel, name)
    for by in (1, -1):
        panel.step(by)
        panel.wait()
    assert asked == ["GI-001", "GI-002"]


class Slow:
    """A model that reads until it may answer, or is stopped."""

    def __init__(self):
        self.may_answer, self.stopped = threading.Event(), []

    def __call__(self, case, stop):
        while not self.may_answer.wait(0.01):
            if stop.is_set():
                self.stopped.append(case.id)
                raise SchemaError("stopped")
        return model(case)


def test_while_the_model_reads_nothing_is_chosen_and_cancel_shows_the_rules(tmp_path):
    slow = Slow()
    panel = make(tmp_path, arms={"slow": Arm(slow)})
    panel.frame.arm.value = "slow"
    assert "slow is reading" in panel.frame.asking.value
    assert panel.frame.cancel.layout.display != "none"
    assert panel.form.irae.value is None
    panel.frame.cancel.click()
    panel.wait()
    assert slow.stopped == ["GI-001"]
    assert panel.frame.arm.value == "rules alone"
    assert panel.form.irae.value == "yes"
    assert panel.frame.cancel.layout.display == "none"
    assert "Cancelled" in message(panel)
    panel.cancel()
    assert "No model is reading" in message(panel)
    slow.may_answer.set()
    ask(panel, "slow")
    assert panel.form.likelihood.value == "Unlikely", "asked again after cancel"


def test_leaving_a_case_stops_the_model_and_choices_made_meanwhile_stay(tmp_path):
    slow = Slow()
    panel = make(tmp_path, arms={"slow": Arm(slow)})
    panel.frame.arm.value = "slow"
    panel.step(1)
    panel.type("g4")
    slow.may_answer.set()
    panel.wait()
    assert panel.form.grade.value.startswith("Grade 4"), "the reviewer's own"
    assert panel.form.irae.value is None
    assert "what you chose stays" in message(panel)
    assert "90%" in panel.frame.view.value


def test_a_note_too_long_for_the_model_is_told_before_it_is_asked(tmp_path):
    arm = Arm(broken, too_long=lambda case: "9,000 tokens are needed; this model has room for 8,192")
    panel = make(tmp_path, arms={"m": arm})
    ask(panel, "m")
    assert "m could not answer: 9,000 tokens are needed" in status(panel)
    assert "The rules have read the whole note" in status(panel)
    assert panel.form.irae.value == "yes"
