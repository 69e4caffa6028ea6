"""One scan of a note: its view, tokens, sections and people, and the status of each token.

`read` requests the token statuses, and `cause.withhold` requests them again with the mentions of causes added.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from .concepts import composed
from .context import assign
from .layout import Layout, impose, mute_answers
from .leaflets import impose_leaflets
from .subjects import attribute, impose_subjects, subjects
from .teaching import impose_teaching, teaching
from .text import View
from .tokens import Token, scan

# A pasted model answer is not a statement of the note. Only the values of its keys are skipped, each no longer than the
# schema allows: a brace around a whole note hides nothing.
_ANSWER = re.compile(
    r'"(?:irae_detected|affected_systems|overall_severity|urgency|likelihood|causality|evidence|actions|reasoning)"\s{0,5}:\s{0,5}'
    r'(?:"(?:[^"\\\n]|\\.){0,600}"|\[[^\[\]\n]{0,1200}\]|\{[^{}\n]{0,100}\}|true|false|null)'
)


@functools.lru_cache(maxsize=1)
def scanned(text: str) -> Scan:
    """The scan of a note; cached because `review` needs it twice."""
    return Scan(text)


class Scan:
    """The view of a note, its normalised text and its tokens, whose statuses `heard` sets."""

    def __init__(self, text: str):
        self.view = View.of(text)
        masked = _without_answers(self.view.text)
        self.norm, tokens = scan(masked)
        self.tokens = composed(self.norm, tokens)
        self._layout = Layout(masked)
        self._told = subjects(masked, self.norm, self.tokens)
        self._teaching = teaching(self.norm)
        self._cues, self._signs = [t.cues for t in self.tokens], [t.sign for t in self.tokens]
        self._is_heard = False

    def heard(self, further: Iterable[Token] = ()) -> list[Token]:
        """The tokens, including `further` ones, each with its status in the note."""
        if self._is_heard:
            for token, token.cues, token.sign in zip(self.tokens, self._cues, self._signs, strict=True):
                token.status, token.resolved = "current", False
        self._is_heard = True
        tokens = sorted((*self.tokens, *further), key=lambda t: (t.start, t.end)) if further else self.tokens
        self._give_statuses(tokens)
        return tokens

    def _give_statuses(self, tokens: list[Token]) -> None:
        """Set the status of every token: from the words of its sentence, then from its section and form."""
        norm, layout = self.norm, self._layout
        mute_answers(tokens, layout.marks)
        attribute(tokens, self._told)
        first = 0
        for i, token in enumerate(tokens):
            if token.kind == "end" or i == len(tokens) - 1:
                assign(norm, tokens[first : i + 1], layout.section(tokens[first].start))
                first = i + 1
        impose(norm, tokens, layout)
        impose_teaching(norm, tokens, self._teaching)
        impose_subjects(norm, tokens, self._told)
        impose_leaflets(norm, tokens)


def _without_answers(text: str) -> str:
    """The text with the values of pasted model answers blanked out, character for character."""
    return _ANSWER.sub(lambda match: " " * len(match.group()), text) if '":' in text or '" :' in text else text
