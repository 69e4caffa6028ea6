"""Whose, when and whether: the status of every item a sentence names.

One pass over the tokens of a sentence. A cue opens a scope that the findings after it fall into, or reaches back to
the findings before it; marks, commas and values close scopes. Which cue does what is data (`cues.json`); nothing
here knows any disease. Where scopes overlap, family comes before negated, hypothetical and historical.
"""

from __future__ import annotations

import re

from .cues import RULES, Rule, reversal
from .drug_status import drug_status
from .phrasing import (
    AGO,
    ANSWERED,
    DIRECT,
    FORM_GAP,
    LEADING_NO,
    LEADS,
    LIST_GAP,
    has_count,
    has_exact_value,
    has_value,
    illness_of_relative,
    in_relative,
    is_measured,
    numbers_a_list,
    question_status,
    says_when,
)
from .quantities import TIME_UNITS
from .tokens import Token

ITEMS = frozenset(("finding", "lab", "vital"))
_DRUGS = frozenset(("ici", "drug"))
_ORDER = ("family", "negated", "hypothetical", "historical")
_JOINED = re.compile(r"\b(?:and|or|nor)\b|[/&]")
_DIRECTLY = re.compile(r"\s+(?:in|of|to)\s+(?:(?:the|his|her|their|any|this|a)\s+)?$")
_OPENING = re.compile(r"(?:^|[.;:\n])\s*$")
_DEGREES = frozenset(("severity_mild", "severity_moderate", "severity_severe", "new"))
_PASSED = frozenset(("denial", "denied list", "short denial", "flag_high", "flag_low"))
_OR = re.compile(r"\b(?:or|nor)\b")
_SEPARATOR = re.compile(r",|/|\b(?:and|or|nor)\b")
_LISTED = 45  # characters of one item of a list
_TICKS = frozenset(("unticked", "positive"))
_FAR = 40  # characters between two findings of one list
_WINDOW = 14  # tokens that a cue looks back over


def assign(norm: str, tokens: list[Token], section: str = "") -> None:
    """Set `status` of the findings, labs, vitals and drugs of one sentence; `section` is the heading's status."""
    if not tokens:
        return
    _Sentence(norm, tokens, section).read()
    for i, token in enumerate(tokens):
        if token.kind in _DRUGS:
            token.status = drug_status(norm, tokens, i)


class _Scope:
    """An open cue: `edge` is where its reach is counted from, `taken` how many items it holds."""

    __slots__ = ("rule", "edge", "taken", "comma")

    def __init__(self, rule: Rule, cue: Token):
        self.rule, self.edge, self.taken = rule, cue.end, 0
        self.comma = False  # a comma stands between the last item, or the cue, and here

    def ends_at(self, event: str) -> bool:
        """Does the event close the scope?"""
        when = self.rule.ends.get(event)
        if when is None:
            return False
        return (
            (self.comma or "comma" not in when)
            and (self.taken > 0 or not when.startswith("taken"))
            and (self.taken == 0 or when != "untaken")
        )


class _Sentence:
    """The state of one pass: open scopes by status, and the scopes outside the open brackets."""

    def __init__(self, norm: str, tokens: list[Token], section: str):
        self.norm, self.tokens, self.section = norm, tokens, section
        self.scopes: dict[str, _Scope] = {}
        self.outside: list[dict[str, _Scope]] = []
        self.past = 0  # cues before this offset belong to a phrase that is read
        self._last_or: int | None = None

    def read(self) -> None:
        for i, token in enumerate(self.tokens):
            self._mark(i, token)
            if token.kind in ITEMS:
                self._give(i, token)
                for scope in self.scopes.values():
                    scope.comma = False
            elif token.kind in _DRUGS and "negated" in self.scopes:
                self._take("negated", token)
                if self.norm.startswith(" for ", token.end):
                    del self.scopes["negated"]  # "no prednisone for the colitis"
            if token.kind == "year":
                self._year(i, token)
            elif token.unit == "years" and AGO.match(self.norm, token.end):
                self._back(i, RULES["year"])
            elif token.cues and token.start >= self.past:
                self._cue(i, token)
        self._answer()

    def _mark(self, i: int, token: Token) -> None:
        """Brackets keep their scopes to themselves; commas, values and numbered lists close some."""
        kind = token.kind
        if kind == "(":
            self.outside.append(dict(self.scopes))
        elif kind == ")":
            if self.outside:
                self.scopes = self.outside.pop()
            elif numbers_a_list(self.tokens, i):
                self._close("numbering")
        elif kind == ",":
            self._close("comma")
            for scope in self.scopes.values():
                scope.comma = True
        elif not self.scopes:
            return
        elif kind == "number" and token.unit not in TIME_UNITS:
            self._close("threshold" if token.sign else "number")
        elif kind in ITEMS and (has_value(self.tokens, i) or has_count(self.norm, self.tokens, i)):
            self._close("value")

    def _close(self, event: str, at: int = 0) -> None:
        for status in [s for s, scope in self.scopes.items() if scope.ends_at(event)]:
            if event not in _DEGREES or not self._lists(self.scopes[status], at):
                del self.scopes[status]

    def _lists(self, scope: _Scope, at: int) -> bool:
        """Does the list of this scope go on at `at`: in short items, and for "no" up to an "or"?

        "No fever, new rash or diarrhea" is one list; "no fever, new rash" is not.
        """
        if not scope.rule.list or (scope.rule.list == "or" and at > self._alternatives()):
            return False
        return all(len(part) <= _LISTED for part in _SEPARATOR.split(self.norm[scope.edge : at]))

    def _alternatives(self) -> int:
        """Where the last item of the sentence starts that stands behind an "or"; -1 where there is none."""
        if self._last_or is None:
            self._last_or, edge = -1, self.tokens[0].start
            for token in self.tokens:
                if token.kind in ITEMS:
                    if _OR.search(self.norm, max(edge, token.start - _FAR), token.start):
                        self._last_or = token.start
                    edge = token.end
        return self._last_or

    def _take(self, status: str, token: Token) -> None:
        scope = self.scopes[status]
        scope.taken, scope.edge = scope.taken + 1, token.end

    def _give(self, i: int, token: Token) -> None:
        for status in _ORDER:
            scope = self.scopes.get(status)
            if scope is None:
                continue
            far = token.start - scope.edge > self._reach(scope.rule, token)
            if far and not self._lists(scope, token.start):
                del self.scopes[status]
            elif not self._stands_alone(scope, i):
                token.status = status
                self._take(status, token)
                return
        if token.detail.startswith("negated"):
            token.status = "negated"
        elif self.section in ("hypothetical", "historical"):
            token.status = "current" if says_when(self.norm, self.tokens, i) else self.section
        elif self.section:
            token.status = self.section

    def _stands_alone(self, scope: _Scope, i: int) -> bool:
        """A measured value is neither denied nor only looked for; nor is a symptom with a time only looked for."""
        if scope.rule.status == "negated":
            return self.tokens[i].kind != "finding" and has_exact_value(self.norm, self.tokens, i)
        return scope.rule.values == "measured" and is_measured(self.norm, self.tokens, i)

    @staticmethod
    def _reach(rule: Rule, token: Token) -> int:
        diagnosis = token.detail in ("diagnosis", "background")
        return rule.reach_of_diagnoses if diagnosis and rule.reach_of_diagnoses else rule.reach

    def _cue(self, i: int, token: Token) -> None:
        cues = token.cues
        if self._reversed(i, token) or ("inability" in cues and len(cues) == 1):
            return
        if "affirmation" in cues:
            self.scopes.pop("negated", None)
            return
        rules = [RULES[cue] for cue in cues if cue in RULES]
        if "leading negative" in cues and not LEADS.search(self.norm, max(0, token.start - 12), token.start):
            rules = [rule for rule in rules if rule.guard != "leading"]
        behind = [rule for rule in rules if rule.direction == "before"]
        ahead = [rule for rule in rules if rule.direction == "after"]
        if ahead and ahead[0].status == "negated":
            if LEADING_NO.search(self.norm, max(0, token.start - 12), token.start):
                return
            if self._form(i, token) or (behind and (not self._followed(i) or self._ticks_behind(i))):
                self._back(i, behind[0] if behind and behind[0].status == "negated" else RULES["absence"])
                return
            behind = [rule for rule in behind if rule.status != "negated"]
        for rule in behind:
            self._back(i, rule)
        for cue in cues:
            self._close(cue, token.start)
        if self.section == "historical" and ("now" in cues or "new" in cues):
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
        elif rule.guard == "duration" and i and self.tokens[i - 1].unit in TIME_UNITS - {"years"}:
            return  # "a three-week history of diarrhea"
        open_scope = self.scopes.get(rule.status)
        if open_scope is not None and open_scope.rule.reach > rule.reach:
            open_scope.edge = token.end  # "medical problems including status post nephrectomy, gout"
        else:
            self.scopes[rule.status] = _Scope(rule, token)

    def _reversed(self, i: int, token: Token) -> bool:
        """Does the next word turn the denial round: "no improvement in", "cannot be excluded", "not only"?"""
        if not {"denial", "denied list", "short denial", "inability"} & set(token.cues):
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
        self.scopes.pop("negated", None)
        self.scopes.pop("hypothetical", None)
        return True

    def _followed(self, i: int) -> bool:
        """Does an item follow directly?"""
        following = next((t for t in self.tokens[i + 1 : i + 4] if t.kind != "cue" or "new" not in t.cues), None)
        if following is None or following.kind not in ITEMS:
            return False
        return DIRECT.fullmatch(self.norm, self.tokens[i].end, following.start) is not None

    def _form(self, i: int, token: Token) -> bool:
        """ "Jaundice: no", "rash = none": an answer behind its question, not the start of a list."""
        before = self.tokens[i - 1] if i else None
        if before is None or not ANSWERED.match(self.norm, token.end):
            following = self.tokens[i + 1 : i + 3]
            if len(following) < 2 or following[0].kind not in ITEMS or following[1].kind not in (":", "=", "end"):
                return False
            if following[1].kind == "end" and self.norm[following[1].start] != "?":
                return False
        item = next((t for t in reversed(self.tokens[max(0, i - 3) : i]) if t.kind in ITEMS), None)
        return item is not None and FORM_GAP.fullmatch(self.norm, item.end, token.start) is not None

    def _ticks_behind(self, i: int) -> bool:
        """ "Rash (-) fever (+)": boxes behind their items rather than before them."""
        marks = [t for t in self.tokens[-2:] if not _TICKS.isdisjoint(t.cues)]
        return bool(marks) and i > 0 and self.tokens[i - 1].kind in ITEMS and "unticked" in self.tokens[i].cues

    def _year(self, i: int, token: Token) -> None:
        """ "colitis in 2022 with 12 stools a day": the year dates what stands beside it."""
        self._back(i, RULES["year"])
        if self.norm.startswith("in", token.start):
            opening = _OPENING.search(self.norm, max(0, token.start - 4), token.start)
            self.scopes["historical"] = _Scope(RULES["opening year" if opening else "year"], token)

    def _answer(self) -> None:
        """A question gets its status from the answer that follows it."""
        last = self.tokens[-1]
        if last.kind != "end" or self.norm[last.start] != "?":
            return
        status = question_status(self.norm, self.tokens)
        for token in self.tokens:
            if status and token.kind in ITEMS and token.status in ("current", "hypothetical"):
                token.status = status

    def _back(self, i: int, rule: Rule) -> bool:
        """Give the rule's status to the list of items that ends at token `i`; True when there was one."""
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
                if token.status in rule.over:
                    token.status, token.resolved = rule.status, rule.resolved
                edge, found = token.start, True
            elif self._breaks(token, rule, found):
                break
        return found

    def _in_list(self, token: Token, edge: int, rule: Rule) -> bool:
        gap = edge - token.end
        if gap > _FAR:
            return False
        near = rule.gap == "near" and gap <= rule.near
        return rule.gap == "clause" or near or LIST_GAP.fullmatch(self.norm, token.end, edge) is not None

    @staticmethod
    def _breaks(token: Token, rule: Rule, found: bool) -> bool:
        if token.kind == "end" or token.kind in _DRUGS or (token.kind == "number" and rule.gap != "clause"):
            return True
        return bool(found and token.cues and _DEGREES.isdisjoint(token.cues) and _PASSED.isdisjoint(token.cues))
