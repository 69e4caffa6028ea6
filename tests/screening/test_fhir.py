"""FHIR exports as notes: every value, unit, time and exposure of 200 made bundles, and what strangers send.

`python tests/tools/bench_fhir.py` does the same with 1,000 bundles and gives the speed.
"""

import base64
import copy
import json
import random
from collections import Counter

import pytest
from fhir_bundles import bundle, write_bulk_export, write_bundles
from fhir_compare import differences, values_read_back

from irae_lib import Case
from irae_lib.errors import SchemaError
from irae_lib.safety.lexicon import ANALYTES
from irae_lib.safety.quantities import unit as to_unit
from irae_lib.screening.fhir import files, read_fhir
from irae_lib.screening.fhir.__main__ import main as command
from irae_lib.screening.fhir.resources import MODELS, Resource
from irae_lib.screening.fhir.values import _analytes, tables
from irae_lib.screening.notes import count_rows, hash_of, read_notes

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fhir") / "export"
    return folder, write_bundles(folder, range(200))


def test_every_value_unit_time_and_exposure_of_200_bundles_is_as_put_in(export):
    folder, expected = export
    dropped = Counter()
    rows = list(read_fhir(folder, dropped))
    assert [row for row in rows if isinstance(row, str)] == []
    assert differences(rows, expected) == []
    assert dropped["entered-in-error"] >= len(expected) and dropped["cancelled"] == len(expected)


def test_the_reader_gives_the_values_back(export):
    folder, expected = export
    rows = list(read_fhir(folder))[:60]
    values, faults = values_read_back(rows, expected)
    assert values > 500 and faults == []


def test_bulk_export_gives_the_same_cases_as_bundles(export, tmp_path):
    folder, _ = export
    bundles_by_url = [file for file in sorted(folder.iterdir()) if "urn:uuid" not in file.read_text()][:40]
    write_bulk_export(bundles_by_url, tmp_path)
    bundles = {row["id"]: row for row in read_fhir(folder)}
    bulk = {row["id"]: row for row in read_fhir(tmp_path)}
    assert len(bulk) > 40 and {id: _in_order(row) for id, row in bulk.items()} == {
        id: _in_order(bundles[id]) for id in bulk
    }


def _in_order(row):
    return row | {
        name: sorted(row[name]) for name in ("labs", "vitals")
    }  # values of one minute keep the export's order


def test_tables_hold_words_that_the_reader_knows():
    names = set(tables()["loinc"].values()) - {"Diastolic blood pressure"}
    assert {name for name in names if name.lower() not in _analytes()} == set()
    known = {unit for analyte in ANALYTES.values() for unit in analyte.units}
    words = set(tables()["units"].values())
    assert {to_unit(word.lower()) for word in words if to_unit(word.lower()) in known} >= {"u/l", "k/ul", "mmol/l"}
    for code in ("10*3/uL", "[iU]/L", "ug/L", "mmol/L", "Cel", "10*9/L", "m[IU]/L", "mm[Hg]", "umol/L"):
        assert to_unit(tables()["units"][code].lower()) in known


def test_the_models_have_the_field_names_of_the_library():
    pytest.importorskip("fhir.resources", reason="pip install fhir.resources")
    from fhir.resources.R4B import get_fhir_model_class

    for name, model in MODELS.items():
        fields = set(model.model_fields) - set(Resource.model_fields)
        assert fields <= set(get_fhir_model_class(name).model_fields) | {"resourceType"}, name


# --- Small exports -------------------------------------------------------------------------------------

PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1960-05-01", "gender": "female"}
ME = {"subject": {"reference": "Patient/p"}}


def observation(**fields):
    code = {"coding": [{"system": LOINC, "code": "1742-6"}]}
    base = {"resourceType": "Observation", "id": "o", "status": "final", "code": code, **ME}
    return base | {"effectiveDateTime": "2026-03-01T08:00:00Z"} | fields


def quantity(value, unit="U/L", **fields):
    return {"valueQuantity": {"value": value, "unit": unit, **fields}}


def whole(*resources, kind="collection", **fields):
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries, **fields}


def read(tmp_path, *resources, patient=PATIENT, dropped=None):
    """Cases and dead letters of one bundle."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps(whole(patient, *resources)), encoding="utf-8")
    rows = list(read_fhir(path, dropped))
    return [row for row in rows if isinstance(row, dict)], [row for row in rows if isinstance(row, str)]


def document(data, kind="text/plain", **fields):
    if isinstance(data, bytes):
        data = base64.b64encode(data).decode()
    base = {"resourceType": "DocumentReference", "id": "d", "status": "current", "date": "2026-03-01T09:00:00Z", **ME}
    return base | {"content": [{"attachment": {"contentType": kind, "data": data}}]} | fields


LINES = [
    (quantity(640), "ALT 640 U/L"),
    (quantity(86.01234567890123), "ALT 86.01234567890123 U/L"),
    (quantity(0.0000001, "ug/L"), "ALT 0.0000001 ug/L"),
    (quantity(640, comparator=">"), "ALT >640 U/L"),
    ({"valueQuantity": {"value": 640, "code": "[iU]/L", "system": UCUM}}, "ALT 640 IU/L"),
    ({"valueQuantity": {"value": 640}}, "ALT 640"),
    (quantity(640, "arbitrary units"), "ALT 640 arbitrary units"),
    ({"valueQuantity": {"value": 640, "unit": "", "code": "U/L{37C}"}}, "ALT 640 U/L"),
    ({"valueString": "ALT 45"}, "ALT 45"),
    ({"valueString": "45 U/L"}, "ALT 45 U/L"),
    ({"valueString": " positive "}, "ALT: positive"),
    ({"valueInteger": 45}, "ALT 45"),
    ({"valueBoolean": True}, "ALT: yes"),
    ({"valueCodeableConcept": {"coding": [{"code": "260385009", "display": "Negative"}]}}, "ALT: Negative"),
    ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 40}}}, "ALT: 1:40"),
    ({"valueRange": {"low": {"value": 4}, "high": {"value": 6, "unit": "U/L"}}}, "ALT 4-6 U/L"),
    (quantity(64) | {"referenceRange": [{"text": "7 - 56 U/L"}]}, "ALT 64 U/L (ref 7-56)"),
    (quantity(64) | {"referenceRange": [{"text": "see comment"}]}, "ALT 64 U/L"),
    (quantity(64) | {"referenceRange": [{"high": {"value": 1, "unit": "ukat/L"}}]}, "ALT 64 U/L (ref <1 ukat/L)"),
    (
        quantity(64)
        | {
            "referenceRange": [
                {"high": {"value": 50}, "appliesTo": [{"text": "Male"}]},
                {"high": {"value": 35}, "appliesTo": [{"text": "Female"}]},
            ]
        },
        "ALT 64 U/L (ref <35)",
    ),
    (quantity(64) | {"interpretation": [{"coding": [{"code": "HH"}]}]}, "ALT 64 U/L critical high"),
    (quantity(64) | {"interpretation": [{"text": "Low"}]}, "ALT 64 U/L L"),
]


@pytest.mark.parametrize("value, line", LINES, ids=[line for _, line in LINES])
def test_lines_of_values(tmp_path, value, line):
    (case,), lost = read(tmp_path, observation(**value))
    assert lost == []
    assert case["labs"] == [f"2026-03-01 08:00 {line}"]


TIMES = [
    ({"effectiveDateTime": "2026-03-01T23:30:00-05:00"}, "2026-03-01 23:30 ", "2026-03-01"),
    ({"effectiveDateTime": "2026-03-01T08:00:00.123+09:00"}, "2026-03-01 08:00 ", "2026-03-01"),
    ({"effectiveDateTime": "2026-03-01T08:00"}, "2026-03-01 08:00 ", "2026-03-01"),
    ({"effectiveDateTime": "2026-03-01"}, "2026-03-01 ", "2026-03-01"),
    ({"effectiveDateTime": "2026-03"}, "2026-03 ", "2026-03"),
    (
        {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-02-28", "end": "2026-03-01T08:00:00Z"}},
        "2026-03-01 08:00 ",
        "2026-03-01",
    ),
    ({"effectiveDateTime": None, "issued": "2026-03-02T08:00:00Z"}, "2026-03-02 08:00 ", "2026-03-02"),
    ({"effectiveDateTime": ""}, "", "undated"),
]


@pytest.mark.parametrize("fields, stamp, day", TIMES)
def test_times(tmp_path, fields, stamp, day):
    (case,), lost = read(tmp_path, observation(**quantity(640), **fields))
    assert (case["labs"], case["id"], lost) == ([f"{stamp}ALT 640 U/L"], f"p/{day}", [])


def test_values_are_in_the_order_they_were_taken_across_time_zones(tmp_path):
    first = observation(id="1", **quantity(640), effectiveDateTime="2026-03-02T01:00:00Z")
    second = observation(id="2", **quantity(40), effectiveDateTime="2026-03-01T22:00:00-05:00")  # 03:00 UTC
    seen = {"encounter": {"reference": "Encounter/e"}}
    visit = {"resourceType": "Encounter", "id": "e", **ME}
    (case,), _ = read(tmp_path, second | seen, first | seen, visit)
    assert case["labs"] == ["2026-03-01 20:00 ALT 640 U/L", "2026-03-01 22:00 ALT 40 U/L"]


def test_names_units_and_components_of_real_exports(tmp_path):
    named = {"text": "Glucose [Mass/volume] in Serum or Plasma"}
    pressure = {"coding": [{"system": LOINC, "code": "85354-9"}]}
    parts = [
        {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value, "unit": "mm[Hg]"}}
        for code, value in (("8462-4", 50), ("8480-6", 85))
    ]
    vital = {"category": [{"coding": [{"code": "vital-signs"}]}]}
    (case,), _ = read(
        tmp_path,
        observation(id="1", code=named, **quantity(99, "mg/dL")),
        observation(id="2", code={"text": "Hepatitis B surface antigen"}, valueString="non-reactive"),
        observation(id="3", code=pressure, component=parts, **vital),
        observation(id="4", code={"text": "Urine culture"}, valueString="growth " * 60),
        observation(id="5", code={"text": "Smoking"}, category=[{"text": "Social-History"}], valueString="never"),
        observation(id="6", code={"text": "Chest X-ray"}, category=[{"text": "imaging"}], valueString="clear"),
        observation(id="7", code={"text": "ALT"}, text={"div": "<div>ALT was <b>640</b> U/L</div>"}),
        observation(id="8", code={"text": "Potassium"}, **quantity(6.1, "mmol/L"), note=[{"text": "hemolysed"}]),
    )
    stamp = "2026-03-01 08:00"
    assert case["labs"] == [
        f"{stamp} Glucose 99 mg/dL",
        f"{stamp} Hepatitis B surface antigen: non-reactive",
        f"{stamp} Potassium 6.1 mmol/L",
    ]
    assert case["vitals"] == [f"{stamp} BP 85/50 mmHg"]
    for words in (
        "growth growth",
        "Chest X-ray: clear",
        "ALT: ALT was 640 U/L",
        "Potassium: hemolysed",
    ):
        assert words in case["notes"]
    assert "never" not in json.dumps(case)


TEXTS = [
    (b"Diarrhea 6x/day.", "text/plain", "Diarrhea 6x/day."),
    ("Größe 1,80".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Größe 1,80"),
    ("Größe 1,80".encode("latin-1"), "text/plain", "Größe 1,80"),
    ("Größe".encode("utf-16"), "text/plain", "Größe"),
    ("<meta charset='latin-1'><p>Größe</p>".encode("latin-1"), "text/html", "Größe"),
    (
        b"<html><head><title>x</title><style>p{}</style><body><p>Seen &amp; well.<br/>No&nbsp;rash.</p>"
        b"<table><tr><td>ALT</td><td>640</td></tr><tr><td>K</td><td>4</td></tr></table>",
        "text/html",
        "Seen & well.\nNo rash.\n\nALT  640\n\nK  4",
    ),
    (
        b'<div xmlns="http://www.w3.org/1999/xhtml"><ul><li>a</li><li>b</li></ul></div>',
        "application/xhtml+xml",
        "a\n\nb",
    ),
]


@pytest.mark.parametrize("data, kind, text", TEXTS)
def test_documents(tmp_path, data, kind, text):
    (case,), lost = read(tmp_path, document(data, kind))
    assert (case["notes"], lost) == (f"Note (2026-03-01 09:00):\n{text}", [])


def test_the_most_readable_form_of_a_document_is_read(tmp_path):
    forms = [("text/rtf", "{\\rtf x}"), ("text/html", "<p>html</p>"), ("text/plain", "plain")]
    content = [
        {"attachment": {"contentType": kind, "data": base64.b64encode(text.encode()).decode()}} for kind, text in forms
    ]
    (case,), _ = read(tmp_path, document("", content=content))
    assert case["notes"].endswith("\nplain")


def test_compositions_reports_and_binaries(tmp_path):
    div = {"div": "<div>Stable disease.</div>"}
    composition = {"resourceType": "Composition", "title": "Summary", "date": "2026-03-01", **ME}
    composition |= {"section": [{"title": "Course", "section": [{"title": "Oncology", "text": div}]}]}
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT chest"}, **ME}
    report |= {"effectiveDateTime": "2026-03-01", "conclusion": "Ground-glass opacities."}
    binary = {"resourceType": "Binary", "id": "b", "contentType": "text/plain"}
    binary["data"] = base64.b64encode(b"From a binary.").decode()
    linked = document("", content=[{"attachment": {"url": "Binary/b"}}])
    (case,), lost = read(tmp_path, composition, report, binary, linked)
    assert lost == []
    for text in ("Oncology:\nStable disease.", "CT chest (2026-03-01):\nGround-glass opacities.", "From a binary."):
        assert text in case["notes"]


def test_problems_and_their_state(tmp_path):
    def condition(name, status, verified="confirmed", **dates):
        codes = {
            "clinicalStatus": {"coding": [{"code": status}]},
            "verificationStatus": {"coding": [{"code": verified}]},
        }
        return {"resourceType": "Condition", "code": {"text": name}, **ME, **codes, **dates}

    (case,), _ = read(
        tmp_path,
        observation(**quantity(40)),
        condition("Melanoma", "active", onsetDateTime="2024-05"),
        condition("Pneumonitis", "resolved", onsetDateTime="2025-01-01", abatementDateTime="2025-02-01"),
        condition("Colitis", "active", "provisional", recordedDate="2026-02-20"),
        condition("Hepatitis", "active", "refuted"),
        condition("Stroke", "active", recordedDate="2026-05-01"),  # after this day
    )
    assert case["notes"] == (
        "Problem list: Melanoma, since 2024-05; history of Pneumonitis, resolved 2025-02-01; suspected Colitis."
    )
    assert (case["age"], case["date"]) == (65, "2026-03-01")


# --- Exposure ------------------------------------------------------------------------------------------

ICI = {"medicationCodeableConcept": {"text": "Pembrolizumab 200 mg"}}
CODED = "http://www.nlm.nih.gov/research/umls/rxnorm"
DRUGS = [
    ("Administration", {"status": "completed", "effectiveDateTime": "2026-02-01", **ICI}, "yes"),
    ("Administration", {"status": "in-progress", "effectivePeriod": {"start": "2026-02-01"}, **ICI}, "yes"),
    ("Administration", {"status": "not-done", "effectiveDateTime": "2026-02-01", **ICI}, ""),
    ("Administration", {"status": "entered-in-error", "effectiveDateTime": "2026-02-01", **ICI}, ""),
    ("Administration", {"status": "completed", "effectiveDateTime": "2026-03-02", **ICI}, ""),
    ("Request", {"status": "active", "intent": "order", "authoredOn": "2026-02-01", **ICI}, "yes"),
    ("Request", {"status": "stopped", "intent": "order", "authoredOn": "2024-02-01", **ICI}, "yes"),
    ("Request", {"status": "active", "intent": "order", **ICI}, "yes"),
    ("Request", {"status": "draft", "intent": "order", "authoredOn": "2026-02-01", **ICI}, ""),
    ("Request", {"status": "cancelled", "intent": "order", "authoredOn": "2026-02-01", **ICI}, ""),
    ("Request", {"status": "active", "intent": "proposal", "authoredOn": "2026-02-01", **ICI}, ""),
    ("Request", {"status": "active", "intent": "plan", "authoredOn": "2026-02-01", **ICI}, ""),
    ("Request", {"status": "active", "intent": "order", "doNotPerform": True, "authoredOn": "2026-02-01", **ICI}, ""),
    (
        "Request",
        {
            "status": "active",
            "intent": "order",
            "authoredOn": "2026-02-01",
            "dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"start": "2026-04-01"}}}}],
            **ICI,
        },
        "",
    ),
    ("Statement", {"status": "active", "effectivePeriod": {"start": "2025"}, **ICI}, "yes"),
    ("Statement", {"status": "intended", "effectiveDateTime": "2026-02-01", **ICI}, ""),
    ("Statement", {"status": "not-taken", "effectiveDateTime": "2026-02-01", **ICI}, ""),
    ("Dispense", {"status": "completed", "whenHandedOver": "2026-02-01", **ICI}, "yes"),
    (
        "Administration",
        {
            "status": "completed",
            "medicationCodeableConcept": {"coding": [{"system": CODED, "code": "1597876"}]},
        },
        "yes",
    ),
    (
        "Administration",
        {
            "status": "completed",
            "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "L01FF99"}]},
        },
        "yes",
    ),
    ("Administration", {"status": "completed", "medicationCodeableConcept": {"text": "infliximab 100 mg"}}, ""),
    ("Administration", {"status": "completed", "medicationReference": {"reference": "Medication/m"}}, "yes"),
    (
        "Administration",
        {
            "status": "completed",
            "medicationReference": {"reference": "#m"},
            "contained": [
                {
                    "resourceType": "Medication",
                    "id": "m",
                    "ingredient": [{"itemCodeableConcept": {"text": "ipilimumab"}}],
                }
            ],
        },
        "yes",
    ),
]


@pytest.mark.parametrize("kind, fields, exposed", DRUGS)
def test_exposure_by_what_is_recorded(tmp_path, kind, fields, exposed):
    drug = {"resourceType": f"Medication{kind}", "id": "x", **ME, **fields}
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"coding": [{"display": "OPDIVO 10 MG/ML Injection"}]},
    }
    (case,), lost = read(tmp_path, observation(**quantity(40)), drug, medication)
    assert (case["exposed"], lost) == (exposed, [])
    assert bool(case["medications"]) is (exposed == "yes" or "infliximab" in str(fields))


def test_exposure_reaches_the_note(tmp_path):
    drug = {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        **ME,
        **ICI,
        "effectiveDateTime": "2026-02-01",
    }
    before = observation(id="early", **quantity(40), effectiveDateTime="2026-01-05T08:00:00Z")
    read(tmp_path, before, observation(**quantity(640)), drug)
    early, late = read_notes(tmp_path / "export.json")
    assert (early.exposed, late.exposed) == (None, True)
    assert (late.id, late.date) == ("p/2026-03-01", "2026-03-01")
    assert [note.exposed for note in read_notes(tmp_path / "export.json", exposed="yes")] == [True, True]
    assert isinstance(late.case, Case) and "ALT 640 U/L" in late.case.text


# --- Dead letters --------------------------------------------------------------------------------------

SEEN = {"encounter": {"reference": "Encounter/e9"}}
PANEL = {"id": "a", "code": {"text": "Panel"}, "hasMember": [{"reference": "Observation/b"}]}
LOST = [
    ([observation(**quantity(1), subject={"reference": "Patient/q"})], "Patient/q: the patient is not in the input"),
    ([observation(**quantity(1), subject={"display": "J. Doe"})], "Observation/o: no subject"),
    ([observation(**quantity(1), **SEEN)], "p Encounter/e9: the encounter is not in the input"),
    ([observation(**PANEL)], "its result Observation/b is not in the input"),
    (
        [observation(**PANEL), observation(**PANEL | {"id": "b", "hasMember": [{"reference": "Observation/a"}]})],
        "lead back",
    ),
    ([observation(**PANEL | {"hasMember": [{"reference": "Observation/a"}]})], "lead back to itself"),
    (
        [
            observation(
                **PANEL | {"hasMember": [{"reference": "#c"}]},
                contained=[observation(**PANEL | {"id": "c", "hasMember": [{"reference": "#c"}]})],
            )
        ],
        "lead back to itself",
    ),
    ([observation(**PANEL | {"id": "a#b", "hasMember": [{"reference": "#c"}]})], "#c, which it does not contain"),
    ([observation(valueQuantity={"value": "much"})], "entry 2: Observation: valueQuantity.value"),
    ([observation(valueQuantity={"value": [1]})], "valueQuantity.value"),
    ([observation(effectiveDateTime="yesterday")], "effectiveDateTime: not a date or time; expected the form"),
    (
        [observation(**quantity(1), effectiveDateTime="2026-02-30")],
        "entry 2: Observation: effectiveDateTime: not a date or time",
    ),
    ([observation(**quantity(1, "mg/dL", code="mmol/L", system=UCUM), code={"text": "Glucose"})], "contradict"),
    ([document("not base64!")], "DocumentReference/d: the data of an attachment are not base64"),
    ([document(b"%PDF", "application/pdf")], "neither plain text nor HTML"),
    ([document(b"seen", "text/plain; charset=utf-9")], "a character set that does not exist"),
    (
        [document("", content=[{"attachment": {"url": "https://x.example/doc"}}])],
        "not in the input or could not be read",
    ),
    ([document("", content=[])], "without an attachment"),
    (
        [{"resourceType": "MedicationRequest", "id": "r", **ME, "medicationReference": {"reference": "Medication/9"}}],
        "MedicationRequest/r: it refers to Medication/9",
    ),
    ([{"resourceType": "MedicationRequest", "id": "r", **ME}], "the drug has neither a name nor a code"),
    ([{"id": "x"}], "entry 2: not a FHIR resource"),
    ([whole()], "a bundle inside a bundle"),
]


@pytest.mark.parametrize("resources, reason", LOST, ids=[reason for _, reason in LOST])
def test_what_cannot_be_read_is_a_dead_letter_with_its_reason(tmp_path, resources, reason):
    extra = observation(id="other", **quantity(40), effectiveDateTime="2026-04-01")
    cases, lost = read(tmp_path, *resources, extra)
    assert any(reason in letter for letter in lost), lost
    assert "p/2026-04-01" in [case["id"] for case in cases]  # the rest is read
    assert not any(text in " ".join(lost) for text in ("J. Doe", "yesterday", "02-30"))


FILES = [
    (b'{"resourceType": "Bundle", "entry": [', "not JSON, or cut off"),
    (b"[" * 100_000, "nested more deeply"),
    (b'{"a": NaN}', "a number that JSON does not have"),
    (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
    (b'{"a": "\xff"}', "not UTF-8"),
    (b"[1, 2]", "not a FHIR resource"),
    (b"", "not JSON"),
    (json.dumps(whole(kind="history")).encode(), "holds old versions"),
    (json.dumps(whole() | {"entry": "x"}).encode(), "expected a bundle of type"),
]


@pytest.mark.parametrize("data, reason", FILES, ids=[reason for _, reason in FILES])
def test_files_that_are_no_bundle(tmp_path, data, reason):
    (tmp_path / "export.json").write_bytes(data)
    (letter,) = read_fhir(tmp_path / "export.json")
    assert letter.startswith("export.json: ") and reason in letter
    (note,) = read_notes(tmp_path / "export.json")
    assert note.case is None and reason in note.problem


def test_huge_bundles_and_lines_are_dead_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_BUNDLE", 500)
    monkeypatch.setattr(files, "LARGEST_LINE", 500)
    (tmp_path / "a.json").write_text(json.dumps(whole(PATIENT, observation(**quantity(40)), document(b"x" * 900))))
    lines = [PATIENT, document(b"x" * 900), observation(**quantity(40))]
    (tmp_path / "b.ndjson").write_text("\n".join(map(json.dumps, lines)))
    case, *lost = read_fhir(tmp_path)
    assert case["labs"] == ["2026-03-01 08:00 ALT 40 U/L"]
    assert [letter.partition(": ")[0] for letter in lost] == ["a.json", "b.ndjson line 2"]


@pytest.mark.parametrize("levels", [100, 200, 300, 400, 460])
def test_deeply_nested_resources_are_read_or_lost(tmp_path, levels):
    nested = {"title": "x", "text": {"div": "<div>deep</div>"}}
    for _ in range(levels):
        nested = {"section": [nested]}
    composition = {"resourceType": "Composition", "id": "c", "date": "2026-03-01", **ME, **nested}
    cases, lost = read(tmp_path, composition, observation(**quantity(40)))
    assert any("deep" in case["notes"] for case in cases) != any("Composition" in letter for letter in lost)


def test_nothing_in_an_export_stops_the_reading(tmp_path):
    half = observation(id="half", valueString="a\ud83d")
    (case,), lost = read(tmp_path, half, observation(**quantity(40)))
    assert (case["labs"], lost) == (["2026-03-01 08:00 ALT: a?", "2026-03-01 08:00 ALT 40 U/L"], [])
    cases, lost = read(tmp_path, observation(**quantity(40)), patient=PATIENT | {"birthDate": "1960-02-30"})
    assert cases == [] and "entry 1: Patient: birthDate" in lost[0] and "not in the input" in lost[1]


def test_pages_of_a_search_belong_together(tmp_path):
    urls = ["https://h.example/fhir?page=1", "https://h.example/fhir?page=2", "https://h.example/fhir?page=3"]
    resources = [[PATIENT], [observation(id="1", **quantity(640))]]
    for number, content in enumerate(resources):
        links = [{"relation": "self", "url": urls[number]}, {"relation": "next", "url": urls[number + 1]}]
        outcome = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
        page = whole(*content, kind="searchset", link=links)
        page["entry"].append(outcome)
        (tmp_path / f"{number}.json").write_text(json.dumps(page))
    case, letter = read_fhir(tmp_path)
    assert case["id"] == "p/2026-03-01"
    assert letter == "1.json: its next page is not in the input; export all pages"
    back = [{"relation": "self", "url": "https://h.example/other"}, {"relation": "previous", "url": urls[1]}]
    (tmp_path / "2.json").write_text(json.dumps(whole(kind="searchset", link=back)))
    assert len(list(read_fhir(tmp_path))) == 1


def test_two_patients_with_one_id_are_not_mixed(tmp_path):
    other = PATIENT | {"birthDate": "1990-01-01"}
    (tmp_path / "a.json").write_text(json.dumps(whole(PATIENT, observation(**quantity(640)))))
    (tmp_path / "b.json").write_text(json.dumps(whole(other, observation(**quantity(40)))))
    (tmp_path / "c.json").write_text(json.dumps(whole(observation(**quantity(7)))))
    a, b, letter = read_fhir(tmp_path)
    assert (a["id"], a["labs"][0][-11:], a["age"]) == ("p/2026-03-01", "ALT 640 U/L", 65)
    assert (b["id"], b["labs"][0][-10:], b["age"]) == ("p~2/2026-03-01", "ALT 40 U/L", 36)
    assert letter == "Patient/p: several patients have this id; 1 resources refer to it"


def test_the_newest_version_of_a_resource_counts(tmp_path):
    old = observation(**quantity(640), meta={"versionId": "9", "lastUpdated": "2026-03-01T09:00:00Z"})
    new = observation(**quantity(64), meta={"versionId": "10", "lastUpdated": "2026-03-01T09:00:00Z"})
    for order in ((old, new), (new, old)):
        (case,), _ = read(tmp_path, *order)
        assert case["labs"] == ["2026-03-01 08:00 ALT 64 U/L"]


def test_ids_of_one_bundle_lose_no_value(tmp_path):
    for name, value in (("a", 640), ("b", 40), ("c", 40)):
        (tmp_path / f"{name}.json").write_text(json.dumps(whole(PATIENT, observation(**quantity(value)))))
    (case,) = read_fhir(tmp_path)
    assert case["labs"] == ["2026-03-01 08:00 ALT 640 U/L", "2026-03-01 08:00 ALT 40 U/L"]


def test_a_folder_is_one_input_with_one_hash(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(whole(PATIENT, observation(**quantity(640)))))
    before = hash_of(tmp_path)
    (tmp_path / "b.ndjson").write_text(json.dumps(observation(id="2", **quantity(40))))
    assert hash_of(tmp_path) != before and count_rows(tmp_path) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(SchemaError, match="holds no FHIR export"):
        hash_of(tmp_path / "empty")


def test_the_command_counts_what_is_read_and_left_out(tmp_path, capsys):
    wrong = observation(id="wrong", **quantity(99999), status="entered-in-error")
    read(tmp_path, observation(**quantity(40)), wrong, observation(id="q", subject={"reference": "Patient/q"}))
    assert command([str(tmp_path / "export.json"), "--lines"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["id"] == "p/2026-03-01"
    assert "Patient/q: the patient is not in the input; 1 resources refer to it" in err
    assert command([str(tmp_path / "none.json")]) == 1 and "none.json not found" in capsys.readouterr().err
    assert "1 cases, 0 after a checkpoint inhibitor, 1 dead letters; left out: 1 entered-in-error" in err


def test_damaged_bundles_never_stop_the_reading(tmp_path):
    """Random places of made bundles deleted or overwritten; every row is a case or has a reason."""
    path, junk = tmp_path / "export.json", (None, "", 0, -1e300, [], {}, [None], "2026-02-30", True, "#", {"value": -5})
    for seed in range(30):
        pick = random.Random(seed)
        damaged = json.loads(bundle(seed).text)
        for _ in range(pick.choice((1, 5, 40))):
            where = damaged
            while isinstance(where, dict | list) and where and pick.random() < 0.85:
                place = pick.choice(list(where) if isinstance(where, dict) else range(len(where)))
                parent, where = where, where[place]
            parent[place] = copy.deepcopy(pick.choice(junk))
        path.write_text(json.dumps(damaged))
        assert all(note.case or note.problem for note in read_notes(path))
