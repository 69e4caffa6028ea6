"""The open scopes of one sentence: the reach of a cue, the events that close it, and the end of its list."""

from __future__ import annotations

import re

from .cues import Rule, barrier
from .phrasing import is_year
from .tokens import Token

ITEMS = frozenset(("finding", "lab", "vital"))
DEGREES = frozenset(("severity_mild", "severity_moderate", "severity_severe", "new"))
_PASSED = frozenset(("denial", "denied list", "short denial", "flag_high", "flag_low"))
_DATES = frozenset(("year", "opening year"))
_DIAGNOSES = ("diagnosis", "background")
FAR = 40  # characters between two findings of one list
_LISTED = 45  # characters of one item of a list
_OR = re.compile(r"\b(?:or|nor)\b")
_SEPARATOR = re.compile(r",|/|\b(?:and|or|nor)\b")


class Scope:
    """An open cue: `edge` is the offset its reach is counted from, `taken` the number of items it holds."""

    __slots__ = ("rule", "edge", "taken", "comma", "resolved")

    def __init__(self, rule: Rule, cue: Token):
        self.resolved = rule.resolved
        self.rule, self.edge, self.taken = rule, cue.end, 0
        self.comma = False  # a comma separates the last item, or the cue, from here

    def ends_at(self, event: str) -> bool:
        """Whether the event closes the scope."""
        when = self.rule.ends.get(event)
        if when is None:
            return False
        return (
            (self.comma or "comma" not in when)
            and (self.taken > 0 or not when.startswith("taken"))
            and (self.taken == 0 or when != "untaken")
        )


class Scopes:
    """Open scopes by the status they give. Scopes opened inside a bracket end with it."""

    def __init__(self, norm: str, tokens: list[Token]):
        self.norm, self.tokens = norm, tokens
        self.open: dict[str, Scope] = {}
        self._outside: list[dict[str, Scope]] = []
        self._last_or: int | None = None

    def bracket(self) -> None:
        self._outside.append(dict(self.open))

    def leave_bracket(self) -> bool:
        """Restore the scopes from before the bracket; False if no bracket was open."""
        if self._outside:
            self.open = self._outside.pop()
            return True
        return False

    def add(self, rule: Rule, cue: Token) -> None:
        """Open a scope, unless a longer one of the same status is open; that one continues instead."""
        scope = self.open.get(rule.status)
        if scope is not None and scope.rule.reach > rule.reach:
            scope.resolved = scope.resolved or rule.resolved
            scope.edge = cue.end  # "medical problems including status post nephrectomy, gout"
        else:
            self.open[rule.status] = Scope(rule, cue)
            if scope is not None and scope.resolved and scope.taken == 0:
                self.open[rule.status].resolved = True  # "resolution of previous pneumonitis"

    def take(self, status: str, item: Token) -> None:
        """Add an item to the scope of a status."""
        scope = self.open[status]
        scope.taken, scope.edge = scope.taken + 1, item.end

    def comma(self, seen: bool) -> None:
        for scope in self.open.values():
            scope.comma = seen

    def drop(self, *statuses: str) -> None:
        for status in statuses:
            self.open.pop(status, None)

    def close(self, event: str, at: int = 0) -> None:
        """Close the scopes that end at the event at offset `at`."""
        for status in [s for s, scope in self.open.items() if scope.ends_at(event)]:
            if event not in DEGREES or not self._lists(self.open[status], at):
                del self.open[status]

    def reaches(self, scope: Scope, item: Token) -> bool:
        """Whether the item is within reach, directly or as a further item of the list."""
        rule = scope.rule
        long = rule.reach_of_diagnoses if item.detail in _DIAGNOSES else 0
        return item.start - scope.edge <= (long or rule.reach) or self._lists(scope, item.start)

    def shields(self, scope: Scope, item: Token) -> bool:
        """Whether a word between the cue and the item keeps the item out of the scope."""
        rule = scope.rule
        if not rule.barrier or (item.detail in _DIAGNOSES and rule.status == "historical"):
            return False
        return barrier(rule).search(self.norm[scope.edge : item.start]) is not None

    def _lists(self, scope: Scope, at: int) -> bool:
        """Whether the list of this scope continues at `at`: in short items, and for "no" up to an "or".

        "No fever, new rash or diarrhea" is one list; "no fever, new rash" is not.
        """
        if not scope.rule.list or (scope.rule.list == "or" and at > self._alternatives()):
            return False
        return all(len(part) <= _LISTED for part in _SEPARATOR.split(self.norm[scope.edge : at]))

    def _alternatives(self) -> int:
        """The start of the sentence's last item that follows an "or"; -1 if there is none."""
        if self._last_or is None:
            self._last_or, edge = -1, self.tokens[0].start
            for token in self.tokens:
                if token.kind in ITEMS:
                    if _OR.search(self.norm, max(edge, token.start - FAR), token.start):
                        self._last_or = token.start
                    edge = token.end
        return self._last_or


def breaks(token: Token, rule: Rule, found: bool) -> bool:
    """Whether the token ends the list that a cue reaches back over. A year also dates findings after a drug."""
    dates = rule.name in _DATES  # "vomiting after chemotherapy in 2020"
    if token.kind in ("end", "ici") or (token.kind == "drug" and not dates):
        return True
    if token.kind == "number" and rule.gap != "clause" and not is_year(token):
        return True
    passed = _PASSED | {"past"} if dates else _PASSED
    return bool(found and token.cues and DEGREES.isdisjoint(token.cues) and passed.isdisjoint(token.cues))
