"""Proven other causes: withhold floors for findings that the note itself explains by another illness.

`withhold` removes grade and organ system from these floors and leaves their urgency (DESIGN.md, contract Cause). A
cause is proven only where the note gives a specific result, attributes the finding to it, and leaves no immune cause
open. In doubt, the floor stays unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..schemas import Finding
from .cause_note import Note, Proof, contradicted
from .cause_open import OpenProof, open_proofs
from .cause_table import table
from .cause_words import OPEN, asked_of, sentences
from .chart import Chart
from .reviews import Withheld
from .rules.base import Floor
from .scanned import Scan, scanned
from .text import View

_NAMELESS = "another cause, which the note itself proves"
_LONGEST = 100_000  # characters; a longer text is a file of many notes, where a result cannot be tied to one episode


def withhold(
    text: str, findings: Sequence[Finding], floors: Sequence[Floor]
) -> tuple[list[Floor], tuple[Withheld, ...]]:
    """The floors, without grade and organ system where another cause is proven, and a record of each."""
    organs = {f.system.value for f in floors if f.finding and f.system}
    if not organs or len(text) > _LONGEST:
        return list(floors), ()
    scan, causes = scanned(text), _candidates(floors)
    asked = asked_of(scan.norm, scan.tokens, causes)
    if not asked:
        return list(floors), ()  # most notes: nothing proven, no status needed
    chart = Chart(findings, episode=True)
    proofs, opened = _proofs(scan, [cause for cause in causes if not contradicted(cause, chart)], asked, chart)
    if not proofs and not opened:
        return list(floors), ()
    reasons = [_explained(floor, proofs, opened, len(organs)) for floor in floors]
    pairs = list(zip(floors, reasons, strict=True))
    if any(reasons) and all(reason or floor.system is None for floor, reason in pairs):
        first = next(filter(None, reasons))  # signs of the whole patient follow the organs
        pairs = [(f, r or (first if f.finding and f.finding.name in table().general else None)) for f, r in pairs]
    kept = [f._replace(grade=0, system=None) if r else f for f, r in pairs]
    records = [_record(text, scan.view, f, r) for f, r in pairs if r and (f.grade or f.system)]
    return kept, tuple(dict.fromkeys(records))


def _record(text: str, view: View, floor: Floor, proof: Proof) -> Withheld:
    start, end = view.span(proof.start, proof.end)
    title = table().causes[proof.cause]["title"] if proof.cause != OPEN else _NAMELESS
    return Withheld(
        rule=floor.rule,
        system=floor.system.value if floor.system else "",
        grade=floor.grade,
        cause=title,
        quote=text[start:end],
        start=start,
        end=end,
    )


def _explained(floor: Floor, proofs: list[Proof], opened: list[OpenProof], organs: int) -> Proof | None:
    """The proof that explains a floor's finding in its organ system."""
    if floor.finding is None or floor.system is None:
        return None
    system, name = floor.system.value, floor.finding.name
    causes = table().explains.get((system, name), ())
    listed = next((proof for proof in proofs if proof.cause in causes), None)
    return listed or next((item.proof for item in opened if item.explains(system, name, organs)), None)


def _candidates(floors: Sequence[Floor]) -> list[str]:
    """Causes that explain a floor's finding."""
    pairs = {(f.system.value, f.finding.name) for f in floors if f.finding and f.system}
    wanted = {cause for pair in pairs for cause in table().explains.get(pair, ())}
    return [cause for cause in table().causes if cause in wanted]


# --- the note -------------------------------------------------------------------------------------------


def _proofs(
    scan: Scan, causes: Sequence[str], asked: Collection[str], chart: Chart
) -> tuple[list[Proof], list[OpenProof]]:
    """The proofs of a note: causes of the table and causes only it names; `asked` are the candidates."""
    found = sentences(scan.norm, scan.tokens, {*asked, "note"})
    note = Note(found, scan.heard([m.token for sentence in found for m in sentence.mentions]))
    return [proof for cause in causes if (proof := note.proof(cause))], open_proofs(note, chart)
