"""Make FHIR R4 bundles in the shape of Synthea's, each with what a reader must get out of it.

Written without the reader's tables: names, units and lines are stated here. `bundle(seed)` is the same each time.
"""

from __future__ import annotations

import base64
import json
import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple


class Lab(NamedTuple):
    """A test: LOINC code, display, name in the line, analyte, UCUM code, unit in the line, values, reference range."""

    loinc: str
    display: str
    name: str
    analyte: str
    ucum: str
    unit: str
    least: float
    most: float
    low: str = ""
    high: str = ""


LABS = (
    Lab("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "ALT", "alt", "U/L", "U/L", 8, 900, "7", "56"),
    Lab("1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "AST", "ast", "[iU]/L", "IU/L", 8, 900, "10", "40"),
    Lab("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "Total bilirubin", "bilirubin", "mg/dL", "mg/dL", 0.2, 9, "0.2", "1.2"),
    Lab("14631-6", "Bilirubin.total [Moles/volume] in Serum or Plasma", "Total bilirubin", "bilirubin", "umol/L", "umol/L", 4, 160, "", "21"),
    Lab("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "Creatinine", "creatinine", "mg/dL", "mg/dL", 0.5, 6, "0.60", "1.20"),
    Lab("14682-9", "Creatinine [Moles/volume] in Serum or Plasma", "Creatinine", "creatinine", "umol/L", "umol/L", 45, 500, "60", "110"),
    Lab("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "Sodium", "sodium", "mmol/L", "mmol/L", 118, 150, "136", "145"),
    Lab("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "Potassium", "potassium", "meq/L", "mEq/L", 2.6, 6.9, "3.5", "5.1"),
    Lab("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "Glucose", "glucose", "mg/dL", "mg/dL", 60, 480, "70", "99"),
    Lab("14749-6", "Glucose [Moles/volume] in Serum or Plasma", "Glucose", "glucose", "mmol/L", "mmol/L", 3.1, 26, "3.9", "5.5"),
    Lab("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "TSH", "tsh", "m[iU]/L", "mIU/L", 0.02, 90, "0.4", "4.5"),
    Lab("3024-7", "Thyroxine (T4) free [Mass/volume] in Serum or Plasma", "Free T4", "ft4", "ng/dL", "ng/dL", 0.2, 5, "0.8", "1.8"),
    Lab("2143-6", "Cortisol [Mass/volume] in Serum or Plasma", "Cortisol", "cortisol", "ug/dL", "ug/dL", 0.7, 24, "5", "23"),
    Lab("3040-3", "Lipase [Enzymatic activity/volume] in Serum or Plasma", "Lipase", "lipase", "U/L", "U/L", 10, 2000, "0", "160"),
    Lab("2157-6", "Creatine kinase [Enzymatic activity/volume] in Serum or Plasma", "CK", "ck", "U/L", "U/L", 20, 9000, "30", "200"),
    Lab("67151-1", "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity", "Troponin T", "troponin_t", "ng/L", "ng/L", 3, 900, "", "14"),
    Lab("10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma", "Troponin I", "troponin_i", "ug/L", "ug/L", 0.01, 3, "", "0.04"),
    Lab("777-3", "Platelets [#/volume] in Blood by Automated count", "Platelets", "platelets", "10*3/uL", "K/uL", 9, 420, "150", "450"),
    Lab("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "WBC", "wbc", "10*9/L", "x10^9/L", 0.4, 22, "4.0", "11.0"),
    Lab("751-8", "Neutrophils [#/volume] in Blood by Automated count", "Neutrophils", "anc", "10*3/uL", "K/uL", 0.2, 14, "1.5", "8.0"),
    Lab("718-7", "Hemoglobin [Mass/volume] in Blood", "Hemoglobin", "hemoglobin", "g/dL", "g/dL", 6, 17, "12.0", "16.0"),
    Lab("6301-6", "INR in Platelet poor plasma by Coagulation assay", "INR", "inr", "{INR}", "", 0.8, 5),
    Lab("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "CRP", "crp", "mg/L", "mg/L", 1, 300, "", "5"),
)  # fmt: skip
VITALS = (
    Lab("8310-5", "Body temperature", "Temperature", "temp", "Cel", "C", 35.5, 40.1),
    Lab("8867-4", "Heart rate", "Heart rate", "hr", "{beats}/min", "/min", 45, 150),
    Lab("9279-1", "Respiratory rate", "Respiratory rate", "rr", "/min", "/min", 10, 34),
    Lab("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "SpO2", "spo2", "%", "%", 82, 100),
)
UCUM = "http://unitsofmeasure.org"
_RXNORM, _ATC = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://www.whocc.no/atc"
_PEMBROLIZUMAB = {"coding": [{"system": _RXNORM, "code": "1547547", "display": "pembrolizumab 25 MG/ML Injection"}]}
_BY_CODE = {"coding": [{"system": _ATC, "code": "L01FF02"}]}
_NOT_EXPOSED = ("none", "not-done", "entered-in-error", "draft", "proposal", "plan", "future", "other drug")
_EXPOSED = ("administration", "request", "statement", "reference", "contained", "code")


@dataclass
class Value:
    """A value as put in, and the line that it must become."""

    lab: Lab
    number: str
    sign: str
    unit: str  # words, "" where none was put in
    low: str
    high: str
    flag: str
    time: datetime
    line: str


@dataclass
class Visit:
    """A case that must come out."""

    id: str
    start: datetime
    exposed: bool = False
    values: list[Value] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass
class Made:
    """A bundle as JSON text, and the cases in it by id."""

    text: str
    visits: dict[str, Visit]


class _Maker:
    """Builds one bundle. References are written in one of the four ways that servers use."""

    def __init__(self, seed: int):
        self.random = random.Random(f"fhir {seed}")
        self.way = self.random.choice(("urn", "relative", "absolute", "versioned"))
        self.zone = timezone(timedelta(hours=self.random.choice((-8, -5, 0, 1, 9))))
        self.entries: list[dict[str, Any]] = []
        self.visits: dict[str, Visit] = {}
        self.begun: list[datetime] = []  # when a checkpoint inhibitor was begun
        self.patient = self.new_id()
        self.add({"resourceType": "Patient", "id": self.patient, "gender": "female", "birthDate": "1961-04-02"})

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def add(self, resource: dict[str, Any]) -> dict[str, str]:
        """Add a resource; returns a reference to it."""
        resource.setdefault("id", self.new_id())
        path = f"{resource['resourceType']}/{resource['id']}"
        url = f"urn:uuid:{resource['id']}" if self.way == "urn" else f"https://hospital.example/fhir/{path}"
        self.entries.append({"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": path}})
        return self.refer(path)

    def refer(self, path: str) -> dict[str, str]:
        ways = {
            "urn": f"urn:uuid:{path.rpartition('/')[2]}",
            "relative": path,
            "absolute": f"https://hospital.example/fhir/{path}",
            "versioned": f"{path}/_history/1",
        }
        return {"reference": ways[self.way]}

    @property
    def subject(self) -> dict[str, str]:
        return self.refer(f"Patient/{self.patient}")

    def visit(self, start: datetime, drug: str) -> None:
        pick = self.random
        encounter, context = None, {}
        if pick.random() < 0.8:
            encounter = self.new_id()
            period = {"start": start.isoformat(), "end": (start + timedelta(hours=6)).isoformat()}
            self.add({"resourceType": "Encounter", "id": encounter, "status": "finished", "subject": self.subject,
                      "class": {"code": "AMB"}, "period": period})  # fmt: skip
            context = {"encounter": self.refer(f"Encounter/{encounter}")}
        visit = Visit(f"{self.patient}/{encounter or start.date().isoformat()}", start)
        self.visits[visit.id] = visit
        results = []
        for lab in pick.sample(LABS, pick.randint(3, 9)):
            for hours in sorted(pick.sample(range(1, 6), pick.choice((1, 1, 2)))):
                results.append(
                    self.result(visit, lab, start + timedelta(hours=hours, minutes=pick.randint(0, 59)), context)
                )
        for lab in pick.sample(VITALS, 2):
            self.result(visit, lab, start + timedelta(minutes=pick.randint(0, 30)), context)
        pick.shuffle(results)  # the reader must sort
        self.add({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Panel"}, "subject": self.subject,
                  **context, "effectiveDateTime": start.isoformat(), "result": results})  # fmt: skip
        self.wrong_results(start, context)
        self.document(visit, start, encounter)
        self.drug(drug, start)

    def result(self, visit: Visit, lab: Lab, time: datetime, context: dict[str, Any]) -> dict[str, str]:
        pick = self.random
        number = f"{pick.uniform(lab.least, lab.most):.{pick.choice((0, 1, 2, 13)) if lab.most > 40 else pick.choice((1, 2, 13))}f}"
        if lab.analyte == "spo2":
            number = f"{pick.uniform(82, 100):.0f}"
        sign = pick.choice(("<", ">")) if lab in LABS and pick.random() < 0.05 else ""
        quantity: dict[str, Any] = {"value": f"@{number}@", "unit": lab.unit or "INR", "system": UCUM, "code": lab.ucum}
        if pick.random() < 0.15:
            quantity.pop("code"), quantity.pop("system")  # only the printed unit, as many servers send it
        if sign:
            quantity["comparator"] = sign
        low, high = (lab.low, lab.high) if pick.random() < 0.7 else ("", "")
        above, below = high and Decimal(number) > Decimal(high), low and Decimal(number) < Decimal(low)
        flag = "H" if above else "L" if below else ""
        resource: dict[str, Any] = {
            "resourceType": "Observation", "status": "final", "subject": self.subject, **context,
            "category": [{"coding": [{"code": "laboratory" if lab in LABS else "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": lab.loinc, "display": lab.display}], "text": lab.display},
            "valueQuantity": quantity,
        }  # fmt: skip
        if pick.random() < 0.1:
            resource["effectivePeriod"] = {"start": (time - timedelta(minutes=9)).isoformat(), "end": time.isoformat()}
        else:
            resource["effectiveDateTime"] = time.isoformat(timespec=pick.choice(("seconds", "milliseconds")))
        limits = {
            side: {"value": f"@{text}@", "unit": lab.unit} for side, text in (("low", low), ("high", high)) if text
        }
        if limits:
            resource["referenceRange"] = [limits]
        if flag:
            resource["interpretation"] = [{"coding": [{"code": flag}]}]
        reference = f" (ref {low}-{high})" if low and high else f" (ref <{high})" if high else ""
        unit = f" {lab.unit}" if lab.unit else ""
        line = f"{time:%Y-%m-%d %H:%M} {lab.name} {sign}{number}{unit}{reference}{f' {flag}' if flag else ''}"
        visit.values.append(Value(lab, number, sign, lab.unit, low, high, flag, time, line))
        return self.add(resource)

    def wrong_results(self, start: datetime, context: dict[str, Any]) -> None:
        """Values that must not come out: entered in error, cancelled."""
        for status in ("entered-in-error", "cancelled"):
            self.add({"resourceType": "Observation", "status": status, "subject": self.subject, **context,
                      "effectiveDateTime": start.isoformat(), "code": {"coding": [{"code": "1742-6"}], "text": "ALT"},
                      "valueQuantity": {"value": 99999, "unit": "U/L"}})  # fmt: skip

    def document(self, visit: Visit, start: datetime, encounter: str | None) -> None:
        pick = self.random
        words = f"Seen in clinic; tolerates treatment. Größe {pick.randint(150, 199)} cm. No diarrhea."
        kind = pick.choice(("text/plain", "text/plain; charset=iso-8859-1", "text/html; charset=utf-8"))
        content = f"<html><body><p>{words}</p></body></html>" if "html" in kind else words
        data = base64.b64encode(content.encode("latin-1" if "iso" in kind else "utf-8")).decode()
        context = {"encounter": [self.refer(f"Encounter/{encounter}")]} if encounter else {}
        self.add({"resourceType": "DocumentReference", "status": "current", "type": {"text": "Progress note"},
                  "subject": self.subject, "date": start.isoformat(timespec="milliseconds"), "context": context,
                  "content": [{"attachment": {"contentType": kind, "data": data}}]})  # fmt: skip
        visit.texts.append(words)

    def drug(self, kind: str, start: datetime) -> None:
        if kind == "none":
            return
        begun = start + timedelta(days=30 if kind == "future" else -self.random.randint(1, 60))
        if kind in _EXPOSED:
            self.begun.append(begun)
        day = begun.isoformat()
        request = {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "subject": self.subject,
            "authoredOn": day,
        }
        given = {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "subject": self.subject,
            "effectiveDateTime": day,
        }
        named = {"medicationCodeableConcept": _PEMBROLIZUMAB}
        if kind in ("not-done", "entered-in-error"):
            self.add(given | named | {"status": kind})
        elif kind == "draft":
            self.add(request | named | {"status": "draft"})
        elif kind in ("proposal", "plan"):
            self.add(request | named | {"intent": kind})
        elif kind == "administration":
            self.add(given | named)
        elif kind == "statement":
            statement = {"resourceType": "MedicationStatement", "status": "active", "subject": self.subject}
            self.add(statement | named | {"effectivePeriod": {"start": day[:10]}})
        elif kind == "reference":
            medication = self.add({"resourceType": "Medication", "code": _PEMBROLIZUMAB})
            self.add(request | {"medicationReference": medication})
        elif kind == "contained":
            inside = {"resourceType": "Medication", "id": "drug", "code": {"text": "KEYTRUDA 100 mg/4 mL"}}
            self.add(request | {"contained": [inside], "medicationReference": {"reference": "#drug"}})
        elif kind == "code":
            self.add(given | {"medicationCodeableConcept": _BY_CODE})
        elif kind == "other drug":
            self.add(request | {"medicationCodeableConcept": {"text": "metformin 500 MG Oral Tablet"}})
        else:
            self.add(request | named)


def bundle(seed: int) -> Made:
    """The bundle of one patient with one to three visits, in which a checkpoint inhibitor may begin at any."""
    maker = _Maker(seed)
    pick = maker.random
    start = datetime(2026, pick.randint(1, 6), pick.randint(1, 28), pick.randint(6, 11), tzinfo=maker.zone)
    maker.add({"resourceType": "Organization", "name": "Hospital"})  # of a type that is not read
    maker.add({"resourceType": "Condition", "subject": maker.subject, "code": {"text": "Melanoma"},
               "clinicalStatus": {"coding": [{"code": "active"}]}, "onsetDateTime": "2024-05-01"})  # fmt: skip
    for _ in range(pick.randint(1, 3)):
        kind = pick.choice(_EXPOSED if pick.random() < 0.4 else _NOT_EXPOSED)
        maker.visit(start, kind)
        start += timedelta(days=pick.randint(1, 14))  # three visits end before a "future" drug begins
    if pick.random() < 0.5:
        pick.shuffle(maker.entries)  # the order of entries means nothing
    for visit in maker.visits.values():
        visit.exposed = any(begun <= visit.start for begun in maker.begun)
        visit.values.sort(key=lambda value: value.time)
    whole = {"resourceType": "Bundle", "type": pick.choice(("transaction", "collection")), "entry": maker.entries}
    return Made(to_json(whole), maker.visits)


def to_json(data: dict[str, Any]) -> str:
    """JSON in which the text "@7.10@" becomes the number 7.10: floats would lose the zero."""
    return re.sub(r'"@([^@"]*)@"', r"\1", json.dumps(data))


def write_bulk_export(bundles: list[Path], folder: Path) -> None:
    """The resources of bundles as NDJSON, two files for each type, as a bulk export gives them."""
    by_type: dict[str, list[str]] = {}
    for file in bundles:
        text = file.read_text(encoding="utf-8").replace("https://hospital.example/fhir/", "")
        for entry in json.loads(text, parse_float="@{}@".format)["entry"]:
            by_type.setdefault(entry["resource"]["resourceType"], []).append(to_json(entry["resource"]))
    for kind, lines in by_type.items():
        for part in range(2):
            (folder / f"{part}.{kind}.ndjson").write_text("\n".join(lines[part::2]) + "\n\n", encoding="utf-8")


def write_bundles(folder: Path, seeds: range) -> dict[str, Visit]:
    """Write one file per patient; returns all cases that must come out, by id."""
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Visit] = {}
    for seed in seeds:
        made = bundle(seed)
        (folder / f"{seed:05}.json").write_text(made.text, encoding="utf-8")
        expected |= made.visits
    return expected
