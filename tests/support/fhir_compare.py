"""Compare what was read from made bundles with what was put in."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from fhir_bundles import Value, Visit

from irae_lib import Case, read
from irae_lib.safety.lexicon import ANALYTES
from irae_lib.safety.quantities import unit as to_unit

_FLAGS = {"H": "high", "L": "low", "": ""}


def differences(rows: Iterable[dict[str, Any]], expected: dict[str, Visit]) -> list[str]:
    """Cases that are missing, new, or differ in a line, the order of time, a document or the exposure."""
    rows = {row["id"]: row for row in rows}
    found = [f"{id}: not in both" for id in rows.keys() ^ expected.keys()]
    for id, visit in expected.items():
        if (row := rows.get(id)) is None:
            continue
        lines = [value.line for value in visit.values]
        labs, vitals = row["labs"], row["vitals"]
        if sorted([*labs, *vitals]) != sorted(lines) or [line[:16] for line in labs] != sorted(
            line[:16] for line in labs
        ):
            found.append(f"{id}: values")
        if row["exposed"] != ("yes" if visit.exposed else ""):
            found.append(f"{id}: exposure")
        if row["date"] != visit.start.date().isoformat() or any(text not in row["notes"] for text in visit.texts):
            found.append(f"{id}: date or document")
    return found


def values_read_back(rows: Iterable[dict[str, Any]], expected: dict[str, Visit]) -> tuple[int, list[str]]:
    """Number of values that were put in, and those that the safety layer's reader does not give back exactly."""
    count, faults = 0, []
    for row in rows:
        case = Case.model_validate({k: v for k, v in row.items() if k in Case.model_fields and v not in (None, "", [])})
        findings = [finding for finding in read(case) if finding.kind in ("lab", "vital")]
        for value in expected[row["id"]].values:
            count += 1
            start = case.text.index(value.line)
            here = [f for f in findings if start <= f.start < start + len(value.line)]
            faults += [f"{value.line}: {fault}" for fault in _faults(value, here)]
    return count, faults


def _faults(value: Value, findings: list) -> Iterable[str]:
    if len(findings) != 1 or findings[0].name != value.lab.analyte:
        yield f"read as {[finding.name for finding in findings]}"
        return
    (finding,) = findings
    analyte, unit = ANALYTES[finding.name], to_unit(value.unit.lower())

    def standard(number: str) -> Decimal:
        return analyte.convert(Decimal(number), unit) if analyte.units and unit else Decimal(number)

    if value.number not in finding.value or finding.low != standard(value.number):
        yield "value"
    if (finding.unit, finding.sign) != (unit, value.sign):
        yield "unit or sign"
    if value.low and finding.lln != standard(value.low) or value.high and finding.uln != standard(value.high):
        yield "reference range"
    if finding.flag != _FLAGS[value.flag]:
        yield "flag"
    if finding.when != str(value.time.year * 372 + value.time.month * 31 + value.time.day):
        yield "time"
