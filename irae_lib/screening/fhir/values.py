"""Write the values of an Observation as lines that the reader reads exactly: name, value, unit, range, flag.

The tables are in `data/clinical/fhir.json`: test names by LOINC code, and the words for UCUM units.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

from ...files import DATA, built_once
from ...safety.lexicon import ANALYTES, VITALS
from ...safety.quantities import unit as to_unit
from .resources import CodeableConcept, Component, Observation, Quantity, Range, ReferenceRange


class Unreadable(ValueError):
    """A resource that cannot be read; the message gives the reason without any text of the note."""


@built_once
def tables() -> dict:
    """The tables of `fhir.json`; names by LOINC code and words by unit are inverted for look-up."""
    shipped = json.loads((DATA / "clinical" / "fhir.json").read_text(encoding="utf-8"))
    for table in ("loinc", "units"):
        shipped[table] = {code: words for words, codes in shipped[table].items() for code in codes}
    return shipped


_BLOOD = re.compile(r",? in (?:serum|plasma|blood|arterial blood|venous blood|capillary blood)\b.*", re.I)
_DOTTED = re.compile(r"(?<=[a-z])\.(?=[a-z])")  # "Bilirubin.total"
_PROPERTY = re.compile(r"\s*\[[^\]]*\]")  # "[Mass/volume]"


def name_of(code: CodeableConcept) -> str:
    """The name of a test in the words of the reader: by LOINC code, else as the export names it."""
    for coding in code.coding:
        if name := tables()["loinc"].get(coding.code):
            return name
    return _DOTTED.sub(" ", _BLOOD.sub("", _PROPERTY.sub("", code.words))).strip(" :")


@built_once
def _analytes() -> dict[str, str]:
    """The analyte of each name that the reader knows, in lower case."""
    labs = json.loads((DATA / "clinical" / "labs.json").read_text(encoding="utf-8"))
    rows = labs["analytes"] | labs["vitals"]
    return {name: analyte for analyte, row in rows.items() for name in row["names"]}


def is_vital(name: str) -> bool:
    """Whether the reader knows this name as a vital sign."""
    return _analytes().get(name.lower()) in VITALS


_ANNOTATION = re.compile(r"\{[^}]*\}")  # "mmol/mol{creat}"


def unit_words(quantity: Quantity, name: str = "") -> str:
    """The unit of a quantity in the words of the reader; an unknown one as the export prints it.

    Raises:
        Unreadable: code and printed unit contradict each other, so the value is in doubt.
    """
    known = tables()["units"]
    codes = [_ANNOTATION.sub("", text.strip()) for text in (quantity.code, quantity.unit) if text]
    if not codes:
        return ""
    words = [known[code] for code in codes if code in known]
    if len(words) == 2 and _differ(*words, name):
        raise Unreadable("its unit and the code of its unit contradict each other; the value is in doubt")
    if words:
        return words[0]
    return "" if not all(codes) else " ".join((quantity.unit or codes[0]).split())[:40]


def _differ(a: str, b: str, name: str) -> bool:
    """Whether the reader would convert a value in `a` and in `b` differently."""
    if a == b:
        return False
    analyte = ANALYTES.get(_analytes().get(name.lower(), ""))
    if analyte is not None and a and b:
        amounts = [analyte.convert(Decimal(1), to_unit(unit.lower())) for unit in (a, b)]
        if None not in amounts:
            return amounts[0] != amounts[1]
    return to_unit(a.lower()) != to_unit(b.lower())


def digits(number: Decimal) -> str:
    """A number exactly as the export writes it, without an exponent."""
    return format(number, "f")


def value_lines(observation: Observation, sex: str = "") -> Iterator[tuple[str, str]]:
    """Name and line of each value: the Observation's own, then those of its components."""
    name = name_of(observation.code)
    parts = {name_of(part.code): part for part in observation.component}
    systolic, diastolic = (parts.get(f"{word} blood pressure") for word in ("Systolic", "Diastolic"))
    if systolic and diastolic and systolic.valueQuantity and diastolic.valueQuantity:
        high, low = (part.valueQuantity for part in (systolic, diastolic))
        if high.value is not None and low.value is not None:
            yield "BP", f"BP {digits(high.value)}/{digits(low.value)} {unit_words(high)}".strip()
            parts = {name: part for name, part in parts.items() if part not in (systolic, diastolic)}
    for name, part in ((name, observation), *parts.items()):
        if value := _value(part, name):
            yield name, " ".join(filter(None, (name + value, *_details(part, name, sex))))


def _value(part: Component, name: str) -> str:
    """The value with what separates it from the name; "" without a value."""
    if (quantity := part.valueQuantity) is not None and quantity.value is not None:
        number = (quantity.comparator or "") + digits(quantity.value)
        return f" {number} {unit_words(quantity, name)}".rstrip()
    if part.valueInteger is not None:
        return f" {part.valueInteger}"
    if part.valueRange is not None:
        return f" {_interval(part.valueRange, name)}".rstrip()
    if (ratio := part.valueRatio) is not None and ratio.numerator and ratio.denominator:
        numbers = (ratio.numerator.value, ratio.denominator.value)
        return "" if None in numbers else ": " + ":".join(map(digits, numbers))
    if part.valueBoolean is not None:
        return ": " + ("yes" if part.valueBoolean else "no")
    text = part.valueCodeableConcept.words if part.valueCodeableConcept else part.valueString
    return _stated(text or part.valueDateTime or part.valueTime or "", name)


def _stated(text: str, name: str) -> str:
    """A value in words; a number in words ("ALT 45 U/L", "<0.01") is written like any other value."""
    text = " ".join(text.split())
    text = re.sub(rf"^{re.escape(name)}\b\s*[:=]?\s*", "", text, flags=re.I) or text
    return "" if not text else f" {text}" if re.match(r"[<>]?=?\s?\d", text) else f": {text}"


def _details(part: Component, name: str, sex: str) -> Iterator[str]:
    """Reference range and flag of a value."""
    unit = unit_words(part.valueQuantity, name) if part.valueQuantity else ""
    if limits := _reference(part.referenceRange, unit, sex, name):
        yield f"(ref {limits})"
    for concept in part.interpretation:
        if flag := next((_FLAGS[code] for code in concept.codes if code in _FLAGS), ""):
            yield flag
            return


_FLAGS = {
    **dict.fromkeys(("h", "hu", "high", "above high normal"), "H"),
    **dict.fromkeys(("l", "lu", "low", "below low normal"), "L"),
    **dict.fromkeys(("hh", "critical high", "critically high"), "critical high"),
    **dict.fromkeys(("ll", "critical low", "critically low"), "critical low"),
    **dict.fromkeys(("a", "aa", "abnormal"), "abnormal"),
    **dict.fromkeys(("n", "normal"), "normal"),
}
_SEXES = {"male": "male", "m": "male", "248153007": "male", "female": "female", "f": "female", "248152002": "female"}
_TEXT_RANGE = re.compile(r"\s*[(\[]?\s*((?:[<>]=?\s?)?\d+(?:\.\d+)?(?:\s?(?:-|–|to)\s?\d+(?:\.\d+)?)?)\s*[)\]]?\s*")


def _reference(ranges: tuple[ReferenceRange, ...], unit: str, sex: str, name: str) -> str:
    """The normal range that applies to the patient; "" if none can be told."""
    for limits in ranges:
        sexes = {_SEXES[code] for concept in limits.appliesTo for code in concept.codes if code in _SEXES}
        if (limits.type and "normal" not in limits.type.codes) or (sexes and sex not in sexes):
            continue
        if words := _interval(limits, name, unit):
            return words
        if limits.text and (match := _TEXT_RANGE.fullmatch(limits.text.removesuffix(unit))):
            return re.sub(r"\s*(?:-|–|to)\s*", "-", match[1])
    return ""


def _interval(limits: Range | ReferenceRange, name: str, value_unit: str = "") -> str:
    """A range, with its unit if that is not the unit of the value: "7-56", "<40", ">60"."""
    bounds = [q for q in (limits.low, limits.high) if q is not None and q.value is not None]
    if not bounds:
        return ""
    unit = unit_words(bounds[-1], name)
    numbers = "-".join(digits(q.value) for q in bounds)
    if len(bounds) == 1:
        numbers = (">" if bounds[0] is limits.low else "<") + numbers
    elif any(q.value < 0 for q in bounds):
        numbers = " to ".join(digits(q.value) for q in bounds)
    return f"{numbers} {unit}" if unit and unit != value_unit else numbers
