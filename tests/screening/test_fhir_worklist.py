"""The worklist as FHIR, and a screening run from an export to it."""

import json
import sys

import pytest
from fhir_bundles import write_bundles

from irae_lib.errors import RunError
from irae_lib.screening.__main__ import main
from irae_lib.screening.fhir.worklist import worklist_fhir
from irae_lib.screening.worklist import Task, read_worklist

ALERT = {"grade": "Grade 3 - Severe", "urgency": "urgent", "organ_systems": "Hepatic", "reason": "ALT 11 x ULN"}
ALERT |= {"place": 0, "id": "p1/e1", "quote": "ALT 640 U/L"}
UNREAD = {"place": 4, "id": "p2/2026-03-01", "grade": "not assessed", "urgency": "not assessed", "assessed": False}
UNREAD |= {"not_understood": "the note is not in English"}


def test_tasks_become_detected_issues():
    pytest.importorskip("fhir.resources", reason="pip install fhir.resources")
    tasks = [Task(**ALERT), Task(**UNREAD)]
    bundle = json.loads(worklist_fhir(tasks, references=True).model_dump_json())
    assert bundle["type"] == "collection"
    alert, unread = (entry["resource"] for entry in bundle["entry"])
    assert (alert["resourceType"], alert["status"], alert["severity"]) == ("DetectedIssue", "preliminary", "high")
    assert alert["patient"] == {"reference": "Patient/p1"}
    assert alert["evidence"] == [{"code": [{"text": "ALT 11 x ULN"}], "detail": [{"reference": "Encounter/e1"}]}]
    assert alert["detail"] == "Grade 3 - Severe, urgent, Hepatic. Quote: ALT 640 U/L"
    assert "severity" not in unread and unread["code"]["text"].startswith("Note not assessed")
    assert unread["patient"] == {"reference": "Patient/p2"}
    assert unread["evidence"] == [{"code": [{"text": "the note is not in English"}]}]  # a day is not an encounter
    assert bundle == json.loads(worklist_fhir(tasks, references=True).model_dump_json())
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == 2


def test_ids_of_other_inputs_are_no_references():
    pytest.importorskip("fhir.resources", reason="pip install fhir.resources")
    for task, references in ((Task(**ALERT), False), (Task(**ALERT | {"id": "p~2/x y"}), True)):
        (entry,) = worklist_fhir([task], references=references).entry
        assert entry.resource.patient is None and entry.resource.evidence[0].detail is None
        assert entry.resource.identifier[0].value == task.id


def test_without_the_library_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.bundle", None)
    with pytest.raises(RunError, match="needs fhir.resources: pip install"):
        worklist_fhir([], references=True)


def test_screen_an_export_and_write_the_worklist_as_fhir(tmp_path, capsys):
    pytest.importorskip("fhir.resources", reason="pip install fhir.resources")
    expected = write_bundles(tmp_path / "export", range(12))
    out = tmp_path / "screened"
    assert main([str(tmp_path / "export"), "--out", str(out), "--workers", "1", "--fhir-worklist"]) == 0
    rows = [json.loads(line) for file in sorted((out / "rules").glob("*.jsonl")) for line in file.open()]
    assert {row["id"]: row["date"] for row in rows} == {id: f"{case.start:%Y-%m-%d}" for id, case in expected.items()}
    tasks = read_worklist(out / "worklist.jsonl")
    issues = [entry["resource"] for entry in json.loads((out / "worklist.fhir.json").read_text())["entry"]]
    assert [issue["identifier"][0]["value"] for issue in issues] == [task.id for task in tasks]
    assert all(
        issue["patient"]["reference"] == f"Patient/{task.id.split('/')[0]}" for issue, task in zip(issues, tasks)
    )
    assert "worklist.fhir.json" in capsys.readouterr().out
