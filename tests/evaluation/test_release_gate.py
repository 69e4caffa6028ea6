"""The gate: nothing edited, nothing of another adapter or other data, nothing below a threshold gets through."""

import shutil

import pytest
from labels import REPORT

from irae_lib.cases import validated_cases, write_cases
from irae_lib.errors import AdapterError, NotPublished, RunError
from irae_lib.evaluation import release_gate
from irae_lib.evaluation.report import read_report, summarize_arm, summarize_results
from irae_lib.evaluation.scoring import compare, grade_answers, rules_alone
from irae_lib.files import file_sha256, save_json, write_lines
from irae_lib.model.answers import Answer
from irae_lib.schemas import Urgency
from irae_lib.synthesis.splits import make_splits

SPLITS = make_splits(5, train=12, calibration=12, test=60, pairs=6, detail="short")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder as 03 leaves it: a base that never finds an irAE, a tuned model that is always right."""
    run = tmp_path_factory.mktemp("run")
    splits = {"validated": validated_cases(), "test": SPLITS["test"], "contrast": SPLITS["contrast"]}
    graded = {}
    for split, cases in splits.items():
        graded[split, "full"] = grade_answers(cases, [Answer(text="", assessment=c.expected) for c in cases])
        graded[split, "base"] = rules_alone(cases)
    for split in ("test", "contrast"):
        write_cases(run / "data" / f"{split}_cases.jsonl", splits[split])
    rows = [{"split": s, "arm": m, **one.model_dump(mode="json")} for (s, m), all_ in graded.items() for one in all_]
    write_lines(run / "answers.jsonl", rows)
    adapter = run / "adapters" / "full"
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    scores = [[one.raw for one in graded["test", arm]] for arm in ("base", "full")]
    changes = {
        "adapters": {"full": file_sha256(adapter / "adapter_model.safetensors")},
        "answers_sha256": file_sha256(run / "answers.jsonl"),
        **{f"{split}_sha256": file_sha256(run / "data" / f"{split}_cases.jsonl") for split in ("test", "contrast")},
        "results": summarize_results(splits, graded),
        "comparisons": {"test": compare(*scores)},
    }
    save_json(run / "report.json", REPORT.model_copy(update=changes).signed().model_dump(mode="json"))
    return run


@pytest.fixture()
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def report_of(run):
    return read_report(run / "report.json")


def test_a_report_on_a_file_of_ones_own_is_not_published(run):
    report = report_of(run).model_copy(update={"own_test": True}).signed()
    with pytest.raises(NotPublished, match="validated on your own file; nothing is published. To publish, run 03"):
        release_gate.verify(report, run, run / "adapters" / "full")
    with pytest.raises(RunError, match="was changed after it was written"):
        release_gate.verify(report.model_copy(update={"own_test": False}), run, run / "adapters" / "full")


def test_reports_from_before_own_files_were_marked_keep_their_seal():
    assert not REPORT.own_test
    assert "own_test" not in REPORT.model_dump(mode="json")
    assert REPORT == REPORT.signed()


def edited(report, *path, value):
    """The report with one value of its JSON changed."""
    data = report.model_dump(mode="json")
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return type(report).model_validate(data)


def verify(run, report=None):
    release_gate.verify(report or report_of(run), run, run / "adapters" / "full")


def test_a_report_as_written_is_believed_and_a_good_one_passes(run):
    verify(run)
    lines = release_gate.check(report_of(run))
    # 60 cases cannot show what 300 can: only the bounds that hang on n may fail here.
    assert {line.claim for line in lines if not line.holds} <= {"irAEs missed after the safety layer, upper 95 % bound"}
    assert len(lines) == len(release_gate.thresholds())
    assert all(line.why for line in lines)


def test_a_number_edited_by_hand_is_found(run):
    report = edited(report_of(run), "results", "test", "base", "raw", "passed", value=1)
    with pytest.raises(RunError, match="changed after it was written"):
        verify(run, report)


def test_an_edited_report_with_a_new_seal_does_not_follow_from_its_answers(run):
    report = edited(report_of(run), "results", "test", "full", "safety", "triage", "severe_under", "hits", value=3)
    with pytest.raises(RunError, match="do not follow from its answers"):
        verify(run, report.signed())


def test_edited_answers_are_found(run):
    lines = (run / "answers.jsonl").read_text().splitlines()
    (run / "answers.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(RunError, match="answers.jsonl is not the file"):
        verify(run)


@pytest.mark.parametrize("split", ["test", "contrast"])
def test_a_report_on_other_data_is_refused(run, split):
    write_cases(run / "data" / f"{split}_cases.jsonl", SPLITS["train"])
    with pytest.raises(RunError, match=f"{split}_cases.jsonl of the run is not"):
        verify(run)


def test_another_adapter_is_refused(run):
    (run / "adapters" / "full" / "adapter_model.safetensors").write_bytes(b"other weights")
    with pytest.raises(AdapterError, match="not the one in report.json"):
        verify(run)


def test_one_grave_case_sent_home_fails_the_gate():
    cases = SPLITS["test"]
    said = [Answer(text="", assessment=c.expected) for c in cases]
    grave = next(i for i, c in enumerate(cases) if c.expected.overall_severity.level >= 3)
    low = cases[grave].expected.model_copy(update={"urgency": Urgency.ROUTINE})
    said[grave] = Answer(text="", assessment=low)
    section = summarize_arm(cases, grade_answers(cases, said))
    section = section.model_copy(update={"safety": section.raw})  # as if no rule had seen it
    lines = release_gate.check(REPORT.model_copy(update={"results": {"test": {"full": section, "base": section}}}))
    failed = [line.claim for line in lines if not line.holds]
    assert "no Grade 3-4 case two urgency levels too low after the safety layer" in failed
    # A report without the eleven does not hold what is asked of the eleven.
    assert "every validated case has at least 4 of 5 fields right" in failed


def test_thresholds_compare_with_numbers_and_with_other_places():
    tuned = "results.test.full.raw"
    rows = [
        {"claim": "a", "value": f"{tuned}.n", "at_least": 300, "why": "w"},
        {"claim": "b", "value": f"{tuned}.n", "at_most": f"{tuned}.passed", "why": "w"},
        {"claim": "c", "value": f"{tuned}.none", "at_most": 1, "why": "w"},
    ]
    assert [line.holds for line in release_gate.check(REPORT, rows)] == [True, False, False]


@pytest.mark.parametrize(("text", "problem"), [("{", "Invalid JSON"), ("{}", "profile: Field required")])
def test_a_file_that_is_not_a_report_is_named_with_its_field(tmp_path, text, problem):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(RunError, match=f"report.json is not a report of version 3: .*{problem}"):
        read_report(tmp_path / "report.json")
