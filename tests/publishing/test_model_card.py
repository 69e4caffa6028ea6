"""The card: every number in it is the report's or the record's, and it says what has to be said."""

import json
import re

import pytest
import yaml
from labels import REPORT

from irae_lib.errors import AdapterError
from irae_lib.evaluation.report import Report
from irae_lib.files import DATA
from irae_lib.model.adapters import RECORD
from irae_lib.publishing.model_card import NOTICE, TERMS, model_card

ADAPTER = json.loads((DATA / "rehearsal_adapter" / RECORD).read_text())
CARD = model_card(ADAPTER, REPORT, "tester/irae")
_, HEADER, BODY = CARD.split("---\n", 2)


def numbers_in(value) -> set[str]:
    """Every number of plain JSON data, in the forms in which a card may print it."""
    if isinstance(value, dict):
        return set().union(*(numbers_in(inner) for inner in value.values()), set())
    if isinstance(value, list):
        return set().union(*(numbers_in(inner) for inner in value), set())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return set(re.findall(r"\d+(?:\.\d+)?", str(value)))
    forms = {str(value), f"{value:.2f}", f"{value:.3f}", f"{value:.0%}"[:-1]}
    return forms | ({str(int(value))} if value == int(value) else set())


def test_every_number_of_the_results_is_in_the_report_or_the_record():
    known = numbers_in(REPORT.model_dump(mode="json")) | numbers_in(ADAPTER) | {f"{ADAPTER['adapter_bytes'] / 1e6:.2f}"}
    # Of the text itself: 4 or 5 of five fields, 95 %, grades, CTCAE version, year of the guideline, size of the base.
    text = {"1", "2", "3", "4", "5", "5.0", "95", "2021", "1.3"}
    results = BODY.split("## Training")[1].split("## Use")[0]
    unknown = [n for n in re.findall(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w])", results) if n not in known | text]
    assert unknown == []


def test_a_number_that_is_not_in_the_report_would_be_seen():
    assert "0.922" not in numbers_in(REPORT.results["test"]["full"].raw.field_accuracy)
    assert "0.921" in numbers_in(REPORT.results["test"]["full"].raw.field_accuracy)


def test_front_matter_has_licence_and_results_in_model_index_form():
    header = yaml.safe_load(HEADER)
    assert (header["license"], header["license_name"]) == ("other", "health-ai-developer-foundations")
    assert header["license_link"] == TERMS
    assert header["library_name"] == "peft"
    assert "rehearsal" in header["tags"]
    assert "base_model" not in header, "the rehearsal base is on no Hub"
    (model,) = header["model-index"]
    metrics = {m["name"]: m["value"] for result in model["results"] for m in result["metrics"]}
    test = REPORT.results["test"]["full"]
    assert metrics == {
        "fields right": test.raw.field_accuracy,
        "fields right, with the safety layer": test.safety.field_accuracy,
        "urgency too low, with the safety layer": test.safety.triage.under.rate,
    }
    assert all("rehearsal" in result["dataset"]["name"] for result in model["results"])


@pytest.mark.parametrize("rehearsal", [True, False])
def test_it_says_what_it_is_and_is_not(rehearsal):
    record = ADAPTER | {"base_model": "google/medgemma-4b-it", "base_revision": "a" * 40, "minutes": 117.5}
    card = model_card(record, REPORT.model_copy(update={"rehearsal": rehearsal}), "tester/irae")
    assert ("**Rehearsal.**" in card) is rehearsal
    assert ("base_model: google/medgemma-4b-it" in card) is not rehearsal
    for part in (
        "Not a medical device",
        "a fitting check",
        NOTICE.strip(),
        "section 3.2",
        "modified files",
        "117.5 min",
    ):
        assert part in card, part
    assert f'revision="{"a" * 40}"' in card


def test_known_failures_follow_the_report():
    failures = BODY.split("## Known failures")[1].split("##")[0]
    missed = REPORT.results["test"]["full"].safety.triage.missed_emergency
    assert f"Missed emergencies: {missed.hits}/{missed.n}" in failures
    worse = REPORT.model_dump(mode="json")
    worse["results"]["test"]["full"]["safety"]["triage"]["missed_emergency"] |= {"hits": 77, "n": 88}
    card = model_card(ADAPTER, Report.model_validate(worse), "tester/irae")
    assert "77/88" in card.split("## Known failures")[1]


def test_a_number_that_is_missing_stops_the_card():
    record = {key: value for key, value in ADAPTER.items() if key != "learning_rate"}
    with pytest.raises(AdapterError, match="learning_rate"):
        model_card(record, REPORT, "tester/irae")


def test_leave_one_out_has_a_section_of_its_own_or_says_that_it_was_not_measured():
    assert "Not measured in this run" in BODY
    validated = REPORT.results["validated"]
    results = REPORT.results | {"validated": validated | {"left out": validated["eleven"]}}
    card = model_card(ADAPTER, REPORT.model_copy(update={"results": results}), "tester/irae")
    fitting, rest = card.split("**Leave one case out.**")
    left_out = rest.split("**Held-out**")[0]
    assert "tuned (other ten)" in left_out
    assert "tuned (eleven)" not in left_out
    assert "tuned (other ten)" not in fitting
