"""The stored row of a note: the rules' verdict, the model's answer, and the final answer.

Rows hold no note text except quotes, and the reasoning in a model's answer. `screen` on one machine and
`cluster/ray_job.py` on many write the same rows.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Any

from .. import safety, schemas
from ..files import DATA, source_hash
from ..model import answers
from ..safety.floors import review
from ..safety.reviews import NOT_ASSESSED, Review
from ..schemas import FIELDS, Urgency, differing
from . import fhir, notes
from .notes import Note
from .server import Reply

# The code that determines a row; `rules_hash` adds the clinical tables.
RULES_CODE = (safety, schemas, answers, notes, fhir, sys.modules[__name__])


def rules_row(note: Note) -> dict[str, Any]:
    """The row of a note under the safety layer alone; a bad row has its reason in `problem`."""
    row = _about(note)
    if note.case is None:
        return row | {"problem": note.problem}
    return row | _reviewed(review(note.case, exposed=note.exposed))


def model_row(note: Note, reply: Reply, *, asked: str = "full") -> dict[str, Any]:
    """The row of a note with a model's reply under the safety layer; without a reply, the rules' verdict stands.

    An assessment with a problem is a short answer whose full request failed. `disagrees` names the fields in which the
    model differs from the rules alone, if these assessed the note. `confidence`, `certainty` and `legal_mass` are
    present if the server sent probabilities.
    """
    row = _about(note) | {"asked": asked, "seconds": round(reply.seconds, 3), "tries": reply.tries}
    rules_alone = review(note.case, exposed=note.exposed)
    if reply.assessment is None:
        return row | {"problem": reply.problem} | _reviewed(rules_alone)
    return row | {
        **reply.confidence,
        "model": reply.assessment.model_dump(mode="json"),
        **_reviewed(review(note.case, reply.assessment, note.exposed)),
        **({"disagrees": list(differing(rules_alone.final, reply.assessment))} if rules_alone.assessed else {}),
        **({"problem": reply.problem} if reply.problem else {}),
    }


def without_answer(row: Mapping[str, Any]) -> bool:
    """Whether a note has no answer, or its full answer failed; a bad row is not a note and never gets one."""
    return "problem" in row and "final" in row


def rules_hash() -> str:
    """Hash of the code and tables that determine a row: how notes are read, reader, rules, schemas, rows."""
    tables = sorted((DATA / "clinical").rglob("*.json"))
    return source_hash(*RULES_CODE, data=tables)


def sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _about(note: Note) -> dict[str, Any]:
    row = {"place": note.place, "id": note.id}
    row |= {key: value for key, value in (("site", note.site), ("date", note.date)) if value}
    return row | ({"note_sha256": sha256(note.case.text)} if note.case else {})


def _reviewed(result: Review) -> dict[str, Any]:
    """The five fields as plain JSON, the alert flag, and what the rules raised and advise.

    `raises` has one entry for each rule: what it raised the fields `to`, its reason, and its quote from the note. If the
    note was not assessed, each field says so. `not_assessed` gives the reasons, and `at_least` the fields that were
    called anyway.
    """
    final = result.final
    plain = final.model_dump(mode="json")
    plain["likelihood"] = plain["causality"]["likelihood"]
    fields = {name: plain[name] for name in FIELDS}
    row = {
        "final": fields | {"alert": final.is_alert},
        "raises": _raises(result),
        "advisories": list(result.advisories),
    }
    if not result.assessed:
        row["final"] |= dict.fromkeys(FIELDS, NOT_ASSESSED)
        row["not_assessed"] = [*result.coverage.gaps, *result.coverage.not_graded]
        if final.irae_detected or final.urgency > Urgency.ROUTINE:
            row["at_least"] = fields
    return row


def _raises(result: Review) -> list[dict[str, Any]]:
    by_rule: dict[str, dict[str, Any]] = {}
    for c in result.corrections:
        entry = by_rule.setdefault(c.rule, {"rule": c.rule, "to": {}, "reason": c.reason, "quote": c.quote})
        entry["to"][c.field] = c.after
    return list(by_rule.values())
