"""The elements of FHIR R4 resources that a case is made of, and their checks.

Only what is read is checked: an export may break the standard elsewhere. The field names are those of FHIR, as in the
R4B classes of `fhir.resources` (a test compares them).
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

_TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


_FIRST_DAY = {4: "-01-01", 7: "-01"}  # by length: of a year, of a month


def _on_the_calendar(text: str) -> str:
    """Refuse what is not a FHIR time, and 30 February; the message must not hold the text."""
    if text:
        try:
            if not _TIME.fullmatch(text):
                raise ValueError
            datetime.fromisoformat(text + _FIRST_DAY.get(len(text), ""))
        except ValueError:
            raise ValueError("not a date or time; expected the form 2026-03-01T08:00:00Z, 2026-03-01 or 2026") from None
    return text


Time = Annotated[str, AfterValidator(_on_the_calendar)]


def _checked(number: Decimal) -> Decimal:
    if number and not -15 < number.adjusted() < 15:  # "1e999999" would be written with a million digits
        raise ValueError("expected a measured number, at most 15 digits long or 15 zeros small")
    return number


Number = Annotated[Decimal, AfterValidator(_checked)]


class Element(BaseModel):
    """Base of all elements: other fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Element):
    coding: tuple[Coding, ...] = ()
    text: str | None = None

    @property
    def words(self) -> str:
        """What it says, on one line: its text, else the first display, else a code; "" without any."""
        displays = (coding.display for coding in self.coding)
        codes = (coding.code for coding in self.coding)
        return " ".join(next(filter(None, (self.text, *displays, *codes)), "").split())[:300]

    @property
    def codes(self) -> frozenset[str]:
        """Its codes in lower case, and its text for exports that give no code."""
        return frozenset(filter(None, ((code or "").lower() for code in (self.text, *(c.code for c in self.coding)))))


class Quantity(Element):
    value: Number | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Range(Element):
    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(Element):
    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Reference(Element):
    reference: str | None = None
    display: str | None = None


class Period(Element):
    start: Time | None = None
    end: Time | None = None


class Narrative(Element):
    div: str | None = None


class Attachment(Element):
    contentType: str | None = None
    data: str | None = None
    url: str | None = None
    title: str | None = None


class Annotation(Element):
    text: str | None = None


class Meta(Element):
    versionId: str | None = None
    lastUpdated: Time | None = None


class Resource(Element):
    """What every resource has. `contained` resources are checked when something refers to them."""

    resourceType: str
    id: str | None = None
    meta: Meta | None = None
    text: Narrative | None = None
    status: str | None = None
    contained: tuple[dict[str, Any], ...] = ()
    subject: Reference | None = None
    encounter: Reference | None = None


class HumanName(Element):
    family: str | None = None
    given: tuple[str | None, ...] = ()


class Patient(Resource):
    birthDate: Time | None = None
    gender: str | None = None
    name: tuple[HumanName, ...] = ()


class Encounter(Resource):
    period: Period | None = None
    reasonCode: tuple[CodeableConcept, ...] = ()
    serviceProvider: Reference | None = None


class ReferenceRange(Element):
    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    appliesTo: tuple[CodeableConcept, ...] = ()
    text: str | None = None


class Component(Element):
    """A value with its name; what an Observation and its components share."""

    code: CodeableConcept = CodeableConcept()
    valueQuantity: Quantity | None = None
    valueCodeableConcept: CodeableConcept | None = None
    valueString: str | None = None
    valueBoolean: bool | None = None
    valueInteger: int | None = None
    valueRange: Range | None = None
    valueRatio: Ratio | None = None
    valueTime: str | None = None
    valueDateTime: Time | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    referenceRange: tuple[ReferenceRange, ...] = ()


class Observation(Resource, Component):
    category: tuple[CodeableConcept, ...] = ()
    effectiveDateTime: Time | None = None
    effectivePeriod: Period | None = None
    effectiveInstant: Time | None = None
    issued: Time | None = None
    note: tuple[Annotation, ...] = ()
    component: tuple[Component, ...] = ()
    hasMember: tuple[Reference, ...] = ()


class DiagnosticReport(Resource):
    code: CodeableConcept = CodeableConcept()
    effectiveDateTime: Time | None = None
    effectivePeriod: Period | None = None
    issued: Time | None = None
    result: tuple[Reference, ...] = ()
    conclusion: str | None = None
    presentedForm: tuple[Attachment, ...] = ()


class Medication(Resource):
    code: CodeableConcept | None = None
    ingredient: tuple[Ingredient, ...] = ()


class Ingredient(Element):
    itemCodeableConcept: CodeableConcept | None = None


class Drug(Resource):
    """What the four resources about a patient's drug share."""

    medicationCodeableConcept: CodeableConcept | None = None
    medicationReference: Reference | None = None


class MedicationAdministration(Drug):
    context: Reference | None = None
    effectiveDateTime: Time | None = None
    effectivePeriod: Period | None = None


class MedicationStatement(Drug):
    context: Reference | None = None
    effectiveDateTime: Time | None = None
    effectivePeriod: Period | None = None
    dateAsserted: Time | None = None


class Repeat(Element):
    boundsPeriod: Period | None = None


class Timing(Element):
    event: tuple[Time, ...] = ()
    repeat: Repeat | None = None


class Dosage(Element):
    timing: Timing | None = None


class MedicationRequest(Drug):
    intent: str | None = None
    doNotPerform: bool | None = None
    authoredOn: Time | None = None
    dosageInstruction: tuple[Dosage, ...] = ()


class MedicationDispense(Drug):
    context: Reference | None = None
    whenPrepared: Time | None = None
    whenHandedOver: Time | None = None


class Condition(Resource):
    code: CodeableConcept = CodeableConcept()
    clinicalStatus: CodeableConcept | None = None
    verificationStatus: CodeableConcept | None = None
    onsetDateTime: Time | None = None
    onsetPeriod: Period | None = None
    onsetString: str | None = None
    abatementDateTime: Time | None = None
    abatementPeriod: Period | None = None
    recordedDate: Time | None = None


class DocumentContent(Element):
    attachment: Attachment = Attachment()


class DocumentContext(Element):
    encounter: tuple[Reference, ...] = ()
    period: Period | None = None


class DocumentReference(Resource):
    docStatus: str | None = None
    type: CodeableConcept | None = None
    date: Time | None = None
    content: tuple[DocumentContent, ...] = ()
    context: DocumentContext | None = None


class Section(Element):
    title: str | None = None
    text: Narrative | None = None
    section: tuple[Section, ...] = ()


class Composition(Resource):
    type: CodeableConcept | None = None
    date: Time | None = None
    title: str | None = None
    section: tuple[Section, ...] = ()


class Binary(Resource):
    contentType: str | None = None
    data: str | None = None


DRUGS = (MedicationAdministration, MedicationStatement, MedicationRequest, MedicationDispense)
_ALL = (Patient, Encounter, Observation, DiagnosticReport, Medication, Condition, DocumentReference, Composition)
MODELS: dict[str, type[Resource]] = {model.__name__: model for model in (*_ALL, *DRUGS, Binary)}
