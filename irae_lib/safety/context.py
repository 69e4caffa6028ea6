"""Whose, when and whether: the status of every item a sentence names.

Works on the tokens of one sentence, left to right, with the cues of `lexicon.json`: "no", "history of",
"mother", "if" and their kind open a scope; words such as "but", "now" or a verb close it; "absent", "resolved"
and their kind reach back over a list. Nothing here knows any disease.
"""

from __future__ import annotations

import re

from .quantities import TIME_UNITS
from .tokens import Token

ITEMS = frozenset(("finding", "lab", "vital"))
_SCOPE = 70  # characters without a further item after which an open "no" no longer applies
_SHORT = 30  # the same for "not", which denies what stands beside it and opens no list
_OLD = 40  # "history of", "known" and their kind reach this far, and from item to item as far again
_OPENS = re.compile(r"(?:^|[.;:\n])\s*$")
_FAMILY_VERB = re.compile(
    r"\s?(?:'s|:|\(|(?:also |both )?"
    r"(?:has|had|have|with|died|suffer|diagnosed|who|is|was|were|carries|went|became|got)\b)"
)
_IN_FAMILY = re.compile(r"\bin (?:his |her |an? |the |their |two |three |both )?$")
_LIST_GAP = re.compile(
    r"[\s,/()-]*(?:\b(?:and|or|nor|is|are|was|were|has|have|been|all|both|the|of|his|her|any|in|for|also|currently|"
    r"signs?|symptoms?|on|exam|antibod(?:y|ies)|toxin|pcr|titers?|serology|screen|tests?|markers?|values?|levels?|"
    r"results?|figures?|details|exposure|use|numbers?|count)\b[\s,/()-]*)*"
)
_NEVER_GAP = re.compile(
    r"(?:\s|-|\b(?:prior|previous|any|an?|the|current|treatment|therapy|exposure|with|to|of|on|received|been|had|"
    r"ever|having|immune|systemic|cancer)\b)*"
)
_TWO_WORDS = re.compile(r"\s?(?:[\w/-]+ ){0,2}")
_AGAIN = re.compile(
    r"\b(?:re-?challenge|resum|re-?start|continu|hold|held|since|on|cycle|dose|received|after|receiving)"
)

# "not described", "is not recorded": said of everything the clause lists, whatever stands in between.
_SAID_NOT = re.compile(r"(?:is|are|was|were|has|have)?\s?(?:not|missing)")
_ALONE = frozenset(("negative", "neg", "-ve", "unremarkable", "nil", "none", "is negative", "was negative"))
_JOINED = re.compile(r"\b(?:and|or|nor)\b|[/&]")


def assign(norm: str, tokens: list[Token], section: str = "") -> None:
    """Set `status` of the findings, labs, vitals and drugs of one sentence; `section` is the heading's status."""
    negate = family = None
    hypothetical = historical = False
    negated = old = 0  # items the open scope has taken
    comma = year = short = tight = led = False
    saved: list[Token | None] = []
    reach = past_reach = 0
    for i, token in enumerate(tokens):
        kind = token.kind
        if kind in ("ici", "drug") and negate is not None:
            negated, reach = negated + 1, token.end
        if kind in ITEMS:
            # A denial list names complaints; a value after a comma is no longer denied.
            far = negate is not None and token.start - reach > (_SHORT if short else _SCOPE)
            if far or (comma and negated and _has_value(tokens, i)):
                negate, negated = None, 0
            if family is not None:
                token.status = "family"
            elif negate is not None or token.detail.startswith("negated"):
                token.status = "negated"
                negated += 1
                reach = token.end
            elif hypothetical:
                token.status = "hypothetical"
                reach = token.end
            elif section == "historical" or (
                (historical or year) and _still_past(tokens, i, comma and not led, past_reach)
            ):
                token.status = "historical"
                old, past_reach = old + 1, token.end
            elif section == "family":
                token.status = "family"
            comma = False
        if kind == "number":
            if comma and negated and negate is not None and token.unit not in TIME_UNITS:
                negate = None
            if hypothetical and comma and token.unit not in TIME_UNITS and token.sign == "":
                hypothetical = False
        elif kind == ",":
            comma, year = True, False
            if historical and not old and tight:
                historical = False  # "Previous smoker, NSCLC, ...": it meant something else
            if short:
                negate, short = None, False
        elif kind == "(":
            saved.append(negate)
        elif kind == ")":
            if saved:
                negate = saved.pop()
        elif kind == "year":  # "colitis in 2022 with 12 stools a day, resolved": the year dates what it stands beside
            _backward(norm, tokens, i, "historical", far=True)
            if norm.startswith("in", token.start):
                year, past_reach = True, token.end
                if _OPENS.search(
                    norm, max(0, token.start - 4), token.start
                ):  # "In 2019, before all this, he had hepatitis"
                    historical, led, past_reach = True, True, token.end + _OLD
        cues = token.cues
        if not cues:
            continue
        if "keep" in cues:
            negate = None
            continue
        if "negate_after" in cues:
            said_not = _SAID_NOT.match(norm, token.start) is not None
            if _backward(norm, tokens, i, "negated", far=said_not) and "negate" not in cues:
                continue
        if "flag_normal" in cues:
            _backward(norm, tokens, i, "negated", details=("test",))
        elif "negate" in cues:
            negate, negated, reach = token, 0, token.end
            short = norm[token.start : token.end] == "not"
            continue
        if "historical_after" in cues:
            _backward(norm, tokens, i, "historical", near=16)
        if "hypothetical_after" in cues:
            _backward(norm, tokens, i, "hypothetical")
        if "self" in cues or "now" in cues:
            if "self" in cues and token.start and family is not None:
                family = None
            historical = historical and "now" not in cues
        if "new" in cues:
            historical = False
        if "stop" in cues or (comma and ("new" in cues or "severity_severe" in cues)):
            if negated:
                negate, negated = None, 0
            if old and "stop" in cues:
                historical, old = False, 0
            if hypothetical and comma and "stop" in cues:
                hypothetical = False
        if "historical" in cues and "now" not in cues:
            historical, old, past_reach = True, 0, token.end
            tight = "history" not in norm[token.start : token.end]
        if "family" in cues:
            side = norm.startswith((" side", "'s side"), token.end)
            if side or _IN_FAMILY.search(norm, max(0, token.start - 10), token.start):
                _backward(norm, tokens, i, "family", far=True)  # "ptosis in his brother", "on her mother's side"
            else:
                family = token if _is_family(norm, tokens, i) else family
        if "hypothetical" in cues:
            hypothetical, reach = True, token.end
    for i, token in enumerate(tokens):
        if token.kind in ("ici", "drug"):
            token.status = _drug_status(norm, tokens, i)


def _still_past(tokens: list[Token], i: int, comma: bool, reach: int) -> bool:
    """Does "history of" or a year still speak of the item at `i`? Not of a value that a comma sets apart."""
    return tokens[i].start - reach <= _OLD and not (comma and _has_value(tokens, i))


def _has_value(tokens: list[Token], i: int) -> bool:
    """Is a laboratory name followed by its number or flag?"""
    if tokens[i].kind == "finding" or i + 1 == len(tokens):
        return False
    after = tokens[i + 1]
    return after.kind in ("number", "pair") or any(cue.startswith("flag_") for cue in after.cues)


def _is_family(norm: str, tokens: list[Token], at: int) -> bool:
    """A relative's illness rather than a relative's report ("daughter noticed", "per mother")."""
    token = tokens[at]
    words = norm[token.start : token.end]
    if "history" in words or words in ("fhx", "fh"):
        return True
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if following is not None and "informant" in following.cues and following.start - token.end < 25:
        return False
    if any("informant" in t.cues for t in tokens[max(0, at - 1) : at]):
        return False
    return bool(_FAMILY_VERB.match(norm, token.end))


def _backward(norm: str, tokens: list[Token], at: int, status: str, *, far=False, near=0, details: tuple = ()) -> bool:
    """Give `status` to the list of items that ends at token `at`; True when there was one.

    `far` lets other words stand in between, `near` up to so many characters of them; `details` limits it to findings
    of these kinds.
    """
    edge, found = tokens[at].start, False
    alone = norm[tokens[at].start : tokens[at].end] in _ALONE
    for j in range(at - 1, max(-1, at - 14), -1):
        token = tokens[j]
        if token.kind in ITEMS:
            if edge - token.end > 40 or not (
                far or edge - token.end <= near or _LIST_GAP.fullmatch(norm, token.end, edge)
            ):
                break
            if alone and found and not _JOINED.search(norm, token.end, edge):
                break  # "GGO, cultures negative": only the last of them
            if details and token.detail not in details:
                break
            if token.status == "current":
                token.status = status
                token.resolved = status == "historical" and "historical_after" in tokens[at].cues
            edge, found = token.start, True
        elif (
            token.kind in ("end", "ici", "drug")
            or (token.kind == "number" and not far)
            or (
                token.cues
                and not {"severity_mild", "severity_moderate", "severity_severe", "new"} & set(token.cues)
                and not ({"negate", "flag_high", "flag_low"} & set(token.cues))
                and found
            )
        ):
            break
    return found


def _drug_status(norm: str, tokens: list[Token], at: int) -> str:
    """current, historical (given and stopped), planned, negated (never) or family for the drug at `at`."""
    drug = tokens[at]
    planned = False
    for token in reversed(tokens[max(0, at - 8) : at]):
        if token.kind == "end" or drug.start - token.end > 60:
            break
        cues = token.cues
        if drug.kind == "drug" and "negate" in cues and _TWO_WORDS.fullmatch(norm, token.end, drug.start):
            return "negated"
        if "never" in cues and _NEVER_GAP.fullmatch(norm, token.end, drug.start):
            if drug.kind == "ici" and drug.names[0] != "checkpoint inhibitor" and norm[token.start : token.end] == "no":
                continue  # "no nivolumab today" is a dose not given, not a patient never treated
            return "negated"
        if "family" in cues and _is_family(norm, tokens, tokens.index(token)):
            return "family"
        planned = planned or "planned" in cues and not _AGAIN.search(norm, token.end, drug.start)
    for token in tokens[at + 1 : at + 9]:
        gap = token.start - drug.end
        if token.kind == "end" or gap > 70:
            break
        if token.kind in ("drug", "ici") and norm[drug.end : token.start].strip(" +/,and&-"):
            break  # what follows is said of the other drug
        cues = token.cues
        if drug.kind == "drug" and "negate_after" in cues and _LIST_GAP.fullmatch(norm, drug.end, token.start):
            return "negated"
        if "planned_after" in cues and not _AGAIN.search(norm, drug.end, token.start):
            planned = True
        if "past_after" in cues and not planned and gap < 45:
            return "historical"
    if norm.startswith((" naive", "-naive"), drug.end):
        return "negated"
    if drug.kind == "drug" and _listed_with(norm, tokens, at) == "negated":
        return "negated"  # "has not had prednisolone, dexamethasone or inhaled steroids"
    if drug.kind == "drug" and _LONG_AGO.match(norm, drug.end):
        return "historical"
    if planned and not _ONGOING.search(norm, max(0, drug.start - 40), drug.end + 50):
        return "planned"
    if _PAST_BEFORE.search(norm, max(0, drug.start - 28), drug.start):
        return "historical"
    return "current"


def _listed_with(norm: str, tokens: list[Token], at: int) -> str:
    """The status of the drug that stands before this one in the same list; "" where there is none."""
    for token in reversed(tokens[max(0, at - 3) : at]):
        if token.kind == "drug":
            return token.status if _LISTED.fullmatch(norm, token.end, tokens[at].start) else ""
        if token.kind in ("end", "finding", "number") or "stop" in token.cues:
            return ""
    return ""


_LISTED = re.compile(r"[\s,/]*(?:\b(?:or|and|nor|inhaled|injected|oral|topical|other)\b[\s,/]*){0,4}")
_LONG_AGO = re.compile(r"[^.;,\n]{0,30}?(?:\b(?:months?|years?) (?:ago|before|earlier)|\bin (?:19|20)\d\d\b)")
# The note counts cycles or doses: a second one that is planned is no first one.
_ONGOING = re.compile(r"\b(?:cycle|dose|c|infusion)s? ?(?:#|number |no\.? ?)?(?:[2-9]|1\d|two|three|four|five|six)\b")
_PAST_BEFORE = re.compile(
    r"\b(?:last dose of|last|previously on|previously received|previous|prior|former|stopped|discontinued|completed|"
    r"until|s/p|status post|after stopping|off|after|post|failed|progressed on|progression on|"
    r"refractory to|following) $"
)
