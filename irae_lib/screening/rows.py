"""What is written down about one note: what the rules say, what a model says, and what becomes of both.

Rows hold no note text but what a model's answer repeats of it: its quotes, and its reasoning. Every runner writes the
same rows: `screen` on one machine, `cluster/ray_job.py` on many.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from .. import labels, safety, schemas
from ..files import DATA, source_hash
from ..model import answers
from ..safety.floors import review
from ..schemas import FIELDS, NOT_ASSESSED, Assessment, Review, Urgency, differing
from .notes import Note
from .server import Reply


def rules_row(note: Note) -> dict[str, Any]:
    """A note as the safety layer alone reads it; a row that is no note keeps its reason as `problem`."""
    row = _about(note)
    if note.case is None:
        return row | {"problem": note.problem}
    return row | _reviewed(review(note.case, exposed=note.exposed))


def model_row(note: Note, reply: Reply, *, asked: str = "full") -> dict[str, Any]:
    """A note with a model's reply under the safety layer. Where there is none, the rules' verdict stands; a reply with
    a problem, too, is a short answer whose note has no whole one.

    `disagrees` names the fields in which the model differs from the rules alone, where these assessed the note;
    `confidence`, `certainty` and `legal_mass` are there where the server sent probabilities.
    """
    row = _about(note) | {"asked": asked, "seconds": round(reply.seconds, 3), "tries": reply.tries}
    alone = review(note.case, exposed=note.exposed)
    if reply.assessment is None:
        return row | {"problem": reply.problem} | _reviewed(alone)
    return row | {
        **reply.chances,
        "model": reply.assessment.model_dump(mode="json"),
        **_reviewed(review(note.case, reply.assessment, note.exposed)),
        **({"disagrees": list(differing(alone.final, reply.assessment))} if alone.assessed else {}),
        **({"problem": reply.problem} if reply.problem else {}),
    }


def is_alert(said: Assessment) -> bool:
    """Calls an irAE, or asks for the same day: what a person is told of."""
    return said.irae_detected or said.urgency >= Urgency.URGENT


def rules_hash() -> str:
    """One hash over the code and the tables that decide what becomes of a note: reader, rules, schemas, rows."""
    tables = sorted((DATA / "clinical").rglob("*.json"))
    return source_hash(safety, labels, schemas, answers, sys.modules[__name__], data=tables)


def sha256(text: str) -> str:
    """Of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _about(note: Note) -> dict[str, Any]:
    row = {"place": note.place, "id": note.id}
    row |= {key: value for key, value in (("site", note.site), ("date", note.date)) if value}
    return row | ({"note_sha256": sha256(note.case.text)} if note.case else {})


def _reviewed(result: Review) -> dict[str, Any]:
    """The five fields as plain JSON, whether a person is told, and the rules.

    Where the note was not assessed, each field says so; `not_assessed` gives the reasons, and `at_least` what was
    called all the same.
    """
    plain = result.final.model_dump(mode="json")
    found = {name: plain[name] for name in FIELDS if name in plain} | {"likelihood": plain["causality"]["likelihood"]}
    rules = sorted({c.rule for c in result.corrections})
    if result.assessed:
        return {"final": found | {"alert": is_alert(result.final)}, "rules": rules}
    final = dict.fromkeys(found, NOT_ASSESSED) | {"alert": is_alert(result.final)}
    row = {"final": final, "rules": rules, "not_assessed": list(result.coverage.gaps)}
    called = result.final.irae_detected or result.final.urgency > Urgency.ROUTINE
    return row | ({"at_least": found} if called else {})
