"""Assign a status to every item of a sentence: negated, historical, hypothetical, family or current.

One pass over its tokens. A cue opens a scope for the findings after it, or reaches back to those before it; marks,
commas and values close scopes. Where scopes overlap, family comes before negated, hypothetical and historical. The
effect of each cue is data (`cues.json`); this code knows no diseases.
"""

from __future__ import annotations

import re

from .cues import RULES, Rule, reversal, rules_of
from .drug_status import drug_status
from .phrasing import (
    AGO,
    ANSWERED,
    ENDS,
    FORM_GAP,
    LEADING_NO,
    LEADS,
    LIST_GAP,
    PRESENT,
    has_count,
    has_exact_value,
    has_value,
    illness_of_relative,
    in_relative,
    is_definite,
    is_measured,
    is_new_since,
    is_now,
    is_past_year,
    numbers_a_list,
    question_status,
    says_when,
    spans_a_time,
    start_of_date,
)
from .quantities import TIME_UNITS
from .scopes import FAR, ITEMS, Scope, Scopes, breaks
from .tokens import Token

_DRUGS = frozenset(("ici", "drug"))
_ORDER = ("family", "negated", "hypothetical", "historical")
_SECTIONS = frozenset(("historical", "family", "hypothetical", "negated", "planned"))
_DENIALS = frozenset(("denial", "denied list", "short denial", "inability"))
_TICKS = frozenset(("unticked", "positive"))
_JOINED = re.compile(r"\b(?:and|or|nor)\b|[/&]")
_DIRECTLY = re.compile(r"\s+(?:in|of|to)\s+(?:(?:the|his|her|their|any|this|a)\s+)?$")
_OPENING = re.compile(r"(?:^|[.;:\n])\s*$")
_PRESENT = re.compile(rf"\b(?:known|background|{PRESENT})\b")
_WINDOW = 14  # tokens that a cue can look back over


def assign(norm: str, tokens: list[Token], section: str = "") -> None:
    """Set `status` of the findings, labs, vitals and drugs of one sentence; `section` is the heading's status."""
    if not tokens:
        return
    _Sentence(norm, tokens, section).read()
    for i, token in enumerate(tokens):
        if token.kind in _DRUGS:
            token.status = drug_status(norm, tokens, i)


class _Sentence:
    """One pass over the tokens of a sentence."""

    def __init__(self, norm: str, tokens: list[Token], section: str):
        self.norm, self.tokens = norm, tokens
        self.section = section if section in _SECTIONS else ""
        self.scopes = Scopes(norm, tokens)
        self.past = 0  # cues before this offset belong to a phrase already read

    def read(self) -> None:
        for i, token in enumerate(self.tokens):
            self._mark(i, token)
            if token.kind in ITEMS:
                self._give(i, token)
                self.scopes.comma(False)
            elif token.kind in _DRUGS and "negated" in self.scopes.open:
                self.scopes.take("negated", token)
                if self.norm.startswith(" for ", token.end):
                    self.scopes.drop("negated")  # "no prednisone for the colitis"
            if token.kind == "year":
                self._year(i, token)
            elif token.kind == "number" and not token.unit and is_past_year(self.norm, token):
                self._year(i, token)
            elif token.unit == "years" and AGO.match(self.norm, token.end):
                self._back(i, RULES["year"])
                if _OPENING.search(self.norm, max(0, token.start - 4), token.start):  # "two years ago she had colitis"
                    self.scopes.open["historical"] = Scope(RULES["opening year"], token)
            elif token.cues and token.start >= self.past:
                self._cue(i, token)
        self._answer()

    def _mark(self, i: int, token: Token) -> None:
        """Open and close scopes at brackets, commas, values and numbered lists."""
        kind, scopes = token.kind, self.scopes
        if kind == "(":
            scopes.bracket()
            if self._tells_of_the_past(i, token):
                scopes.add(RULES["episode"], token)
        elif kind == ")":
            if not scopes.leave_bracket() and numbers_a_list(self.tokens, i):
                scopes.close("numbering")
        elif not scopes.open:
            return
        elif kind == ",":
            scopes.close("comma")
            scopes.comma(True)
        elif kind == "number" and token.unit not in TIME_UNITS:
            scopes.close("threshold" if token.sign else "number")
        elif (
            kind in ITEMS
            and any(scope.comma for scope in scopes.open.values())  # a value closes a scope only after a comma
            and (has_value(self.tokens, i) or has_count(self.norm, self.tokens, i))
        ):
            scopes.close("value")

    def _tells_of_the_past(self, i: int, bracket: Token) -> bool:
        """Whether a bracket belongs to a past episode before it: "Colitis in 2022 (12 stools a day, blood)"."""
        for token in reversed(self.tokens[max(0, i - 6) : i]):
            if bracket.start - token.end > FAR or token.kind in (",", ")", "end"):
                return False
            if token.kind in ITEMS:
                past = token.status == "historical" and token.detail in ("diagnosis", "background")
                close = self.norm.find(")", bracket.end, bracket.end + 300)
                return past and _PRESENT.search(self.norm, max(0, token.start - 25), max(close, bracket.end)) is None
        return False

    def _give(self, i: int, token: Token) -> None:
        """Give the item the status of the first scope that reaches it, else that of the section."""
        for status in _ORDER:
            scope = self.scopes.open.get(status)
            if scope is None:
                continue
            if self.scopes.shields(scope, token):
                if status == "historical":
                    self.scopes.drop(status)
            elif not self.scopes.reaches(scope, token):
                self.scopes.drop(status)
            elif not self._stands_alone(scope, i):
                token.status, token.resolved = status, scope.resolved
                self.scopes.take(status, token)
                return
        if token.detail.startswith("negated"):
            token.status = "negated"
        elif self.section and not self._outside_section(i):
            token.status = self.section

    def _stands_alone(self, scope: Scope, i: int) -> bool:
        """Whether an item escapes the scope: a measured value is not denied, a dated symptom not merely looked for."""
        if scope.rule.status == "negated":
            return has_exact_value(self.norm, self.tokens, i) or (
                scope.comma and is_new_since(self.norm, self.tokens[i])
            )
        if scope.rule.only and self.tokens[i].detail not in scope.rule.only:
            return True  # a symptom under evaluation is present
        if scope.rule.values == "dated":
            when = scope.comma and says_when(self.norm, self.tokens, i)
            return when or is_now(self.norm, self.tokens[i])
        if scope.rule.values == "definite":
            return is_definite(self.norm, self.tokens, i)
        return scope.rule.values == "measured" and is_measured(self.norm, self.tokens, i)

    def _outside_section(self, i: int) -> bool:
        """Whether the item is too specific for its section: dated in a history or leaflet, or measured in denials."""
        if self.section == "negated":
            return has_exact_value(self.norm, self.tokens, i) or has_count(self.norm, self.tokens, i)
        if self.section == "hypothetical":
            return is_definite(self.norm, self.tokens, i)
        return self.section == "historical" and says_when(self.norm, self.tokens, i)

    def _cue(self, i: int, token: Token) -> None:
        cues = token.cues
        if self._reversed(i, token) or ("inability" in cues and len(cues) == 1):
            return
        if "affirmation" in cues:
            self.scopes.drop("negated")
            if len(cues) == 1:
                return
        leads = "leading negative" in cues and not LEADS.search(self.norm, max(0, token.start - 12), token.start)
        behind, ahead = rules_of(cues, "leading" if leads else "")
        if ahead and ahead[0].status == "negated":
            if LEADING_NO.search(self.norm, max(0, token.start - 12), token.start):
                return
            if self._answers(i, token) or (behind and (ENDS.match(self.norm, token.end) or self._ticks_behind(i))):
                self._back(i, behind[0] if behind and behind[0].status == "negated" else RULES["absence"])
                return
            behind = tuple(rule for rule in behind if rule.status != "negated")
        for rule in behind:
            self._back(i, rule)
        if self.scopes.open:
            for cue in cues:
                self.scopes.close(cue, token.start)
        if (self.section == "historical" and ("now" in cues or "new" in cues)) or (
            self.section == "negated" and "positive" in cues
        ):
            self.section = ""
        for rule in ahead:
            self._open(i, rule)

    def _open(self, i: int, rule: Rule) -> None:
        token = self.tokens[i]
        if rule.guard == "relative":
            if in_relative(self.norm, token):
                self._back(i, rule)
                return
            if not illness_of_relative(self.norm, self.tokens, i):
                return
        elif rule.guard == "duration" and spans_a_time(self.norm, self.tokens, i):
            return
        self.scopes.add(rule, token)

    def _reversed(self, i: int, token: Token) -> bool:
        """Whether the next word reverses the denial: "no improvement in", "cannot be excluded", "not only"."""
        if _DENIALS.isdisjoint(token.cues):
            return False
        match = reversal().match(self.norm, token.end)
        if match is None:
            return False
        following = self.tokens[i + 1 : i + 6]
        if any(t.kind in ITEMS and t.start < match.start("word") for t in following):
            return False
        if match["word"] == "change" and not any(
            t.kind in ITEMS and _DIRECTLY.fullmatch(self.norm, match.end(), t.start) for t in following
        ):
            return False  # "no change in vision, diplopia or hearing" denies what it lists
        self.past = match.end()
        self.scopes.drop("negated", "hypothetical")
        return True

    def _answers(self, i: int, token: Token) -> bool:
        """Whether a word answers the item before it ("Jaundice: no", "rash = none") rather than starting a list."""
        item = next((t for t in reversed(self.tokens[max(0, i - 3) : i]) if t.kind in ITEMS), None)
        if item is None or FORM_GAP.fullmatch(self.norm, item.end, token.start) is None:
            return False
        if ANSWERED.match(self.norm, token.end):
            return True
        following = self.tokens[i + 1 : i + 3]  # "Jaundice: no  Rash: no"
        if len(following) < 2 or following[0].kind not in ITEMS:
            return False
        return following[1].kind in (":", "=") or self.norm[following[1].start] == "?"

    def _ticks_behind(self, i: int) -> bool:
        """Whether the boxes follow their items: "Rash (-) fever (+)"."""
        marks = [t for t in self.tokens[-2:] if not _TICKS.isdisjoint(t.cues)]
        return bool(marks) and i > 0 and self.tokens[i - 1].kind in ITEMS and "unticked" in self.tokens[i].cues

    def _year(self, i: int, token: Token) -> None:
        """Date the neighbouring items by a year: "colitis in 2022 with 12 stools a day"."""
        self._back(i, RULES["year"])
        start = token.start if token.kind == "year" else start_of_date(self.norm, token)
        if self.norm.startswith("in ", start):
            opening = _OPENING.search(self.norm, max(0, start - 4), start)
            self.scopes.open["historical"] = Scope(RULES["opening year" if opening else "year"], token)

    def _answer(self) -> None:
        """Give a question the status of the answer that follows it."""
        last = self.tokens[-1]
        if last.kind != "end" or self.norm[last.start] != "?":
            return
        status = question_status(self.norm, self.tokens)
        for token in self.tokens:
            if status and token.kind in ITEMS and token.status in ("current", "hypothetical"):
                token.status = status

    def _back(self, i: int, rule: Rule) -> None:
        """Give the rule's status to the list of items that ends at token `i`."""
        before, found = self.tokens[i - 1] if i else self.tokens[i], False
        edge = before.start if before.kind in (":", "=") else self.tokens[i].start  # "rash: negative"
        for token in reversed(self.tokens[max(0, i - _WINDOW) : i]):
            if token.kind in ITEMS:
                if not self._in_list(token, edge, rule):
                    break
                if rule.last_only and found and not _JOINED.search(self.norm, token.end, edge):
                    break  # "GGO, cultures negative": only the last of them
                if rule.details and token.detail not in rule.details:
                    break
                if token.status in rule.over and not (rule.status == "negated" and is_new_since(self.norm, token)):
                    token.status, token.resolved = rule.status, rule.resolved
                token.resolved |= rule.resolved and token.status == rule.status  # "h/o pneumonitis, resolved"
                edge, found = token.start, True
            elif breaks(token, rule, found):
                break

    def _in_list(self, token: Token, edge: int, rule: Rule) -> bool:
        gap = edge - token.end
        if gap < 0:
            return True  # two readings of the same words
        if gap > FAR:
            return False
        near = rule.gap == "near" and gap <= rule.near
        return rule.gap == "clause" or near or LIST_GAP.fullmatch(self.norm, token.end, edge) is not None
