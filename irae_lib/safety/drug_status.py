"""The status of a drug in a note: running, stopped, planned, never given, or given to a relative."""

from __future__ import annotations

import re

from .cues import reversal
from .phrasing import LIST_GAP, illness_of_relative
from .tokens import Token

_NEVER_GAP = re.compile(
    r"(?:\s|-|\b(?:prior|previous|any|an?|the|current|treatment|therapy|exposure|with|to|of|on|received|been|had|"
    r"ever|having|immune|systemic|cancer)\b)*"
)
_TWO_WORDS = re.compile(r"\s?(?:[\w/-]+ ){0,2}")
_AGAIN = re.compile(
    r"\b(?:re-?challenge|resum|re-?start|continu|hold|held|since|on|cycle|dose|received|after|receiving)"
)
_RECHALLENGE = re.compile(r"[ -](?:re-?challenge|re-?treatment|maintenance|again)\b")  # it was given before
_GIVEN = re.compile(r"\b(?:given|received|had|ago)\b")
_NO_DRUG = re.compile(  # "the chemo ward", "chemo-free", "chemotherapy bloods"
    r"(?:chemo|chemotherapy)[- ](?:day |treatment |outpatient |infusion )?(?:unit|ward|suite|room|centre|center|clinic|nurses?|chairs?|bloods?|labs?|"
    r"free|naive|na[iï]ve|pharmac\w+|teaching|education|consent|booklet|record|alert|card|bay|line|port|helpline|hotline)\b"
)
_BEFORE_CHEMO = re.compile(r"\bpre-? ?$")
_DENIALS = frozenset(("denial", "denied list", "short denial"))
_ENDS = frozenset(("contrast", "presentation", "assertion"))
_BEHIND = frozenset(("absence", "result", "not reported"))
_LISTED = re.compile(r"[\s,/]*(?:\b(?:or|and|nor|inhaled|injected|oral|topical|other)\b[\s,/]*){0,4}")
_LONG_AGO = re.compile(r"[^.;,\n]{0,30}?(?:\b(?:months?|years?) (?:ago|before|earlier)|\bin (?:19|20)\d\d\b)")
# The note counts cycles or doses: a planned second dose implies a first.
SECOND_DOSE = re.compile(
    r"\b(?:(?:cycle|dose|c|infusion)s? ?(?:#|number |no\.? ?)?(?:[2-9]|1\d|two|three|four|five|six)|"
    r"(?:second|third|fourth|fifth|next|2nd|3rd|[4-9]th|1\dth) (?:cycle|dose|infusion|treatment|round))\b"
)
_PAST_BEFORE = re.compile(
    r"\b(?:last dose of|last|previously on|previously received|previous|prior|former|stopped|discontinued|completed|"
    r"until|s/p|status post|after stopping|off|after|post|failed|progressed on|progression on|"
    r"refractory to|following) $"
)


def drug_status(norm: str, tokens: list[Token], at: int) -> str:
    """current, historical (given and stopped), planned, negated (never) or family for the drug at `at`."""
    drug = tokens[at]
    if _NO_DRUG.match(norm, drug.start) or _BEFORE_CHEMO.search(norm, max(0, drug.start - 5), drug.start):
        return "planned"
    planned = False
    for token in reversed(tokens[max(0, at - 8) : at]):
        if token.kind == "end" or drug.start - token.end > 60:
            break
        cues = token.cues
        if drug.kind == "drug" and _denies(norm, token, drug):
            return "negated"
        never = "never" in cues and not _RECHALLENGE.match(norm, drug.end)
        if never and _NEVER_GAP.fullmatch(norm, token.end, drug.start):
            if drug.kind == "ici" and drug.names[0] != "checkpoint inhibitor" and norm[token.start : token.end] == "no":
                continue  # "no nivolumab today" is a dose not given, not a patient never treated
            return "negated"
        if "family" in cues and illness_of_relative(norm, tokens, tokens.index(token)):
            return "family"
        planned = planned or "planned" in cues and not _AGAIN.search(norm, token.end, drug.start)
    for token in tokens[at + 1 : at + 9]:
        gap = token.start - drug.end
        if token.kind == "end" or gap > 70:
            break
        if token.kind in ("drug", "ici") and norm[drug.end : token.start].strip(" +/,and&-"):
            break  # the words that follow describe the other drug
        cues = token.cues
        if drug.kind == "drug" and not _BEHIND.isdisjoint(cues) and LIST_GAP.fullmatch(norm, drug.end, token.start):
            return "negated"
        if "never_after" in cues and gap < 6:
            return "negated"
        between = (drug.end, token.start)
        if "planned_after" in cues and not _AGAIN.search(norm, *between) and not _GIVEN.search(norm, *between):
            planned = True
        if "past_after" in cues and not planned and gap < 45:
            return "historical"
    if norm.startswith((" naive", "-naive"), drug.end):
        return "negated"
    if drug.kind == "drug" and _listed_with(norm, tokens, at) == "negated":
        return "negated"  # "has not had prednisolone, dexamethasone or inhaled steroids"
    if drug.kind == "drug" and _LONG_AGO.match(norm, drug.end):
        return "historical"
    if (
        planned
        and not _RECHALLENGE.match(norm, drug.end)
        and not SECOND_DOSE.search(norm, max(0, drug.start - 40), drug.end + 50)
    ):
        return "planned"
    if _PAST_BEFORE.search(norm, max(0, drug.start - 28), drug.start):
        return "historical"
    return "current"


def _denies(norm: str, cue: Token, drug: Token) -> bool:
    """Whether the cue denies the drug: "no steroids", not "did not resolve with prednisone"."""
    return (
        not _DENIALS.isdisjoint(cue.cues)
        and _TWO_WORDS.fullmatch(norm, cue.end, drug.start) is not None
        and reversal().match(norm, cue.end) is None
    )


def _listed_with(norm: str, tokens: list[Token], at: int) -> str:
    """The status of the previous drug in the same list; "" where there is none."""
    for token in reversed(tokens[max(0, at - 3) : at]):
        if token.kind == "drug":
            return token.status if _LISTED.fullmatch(norm, token.end, tokens[at].start) else ""
        if token.kind in ("end", "finding", "number") or not _ENDS.isdisjoint(token.cues):
            return ""
    return ""
