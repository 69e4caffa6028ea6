"""A line of keys: each acts as soon as it is complete, and nothing typed after a refusal is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import ipywidgets as w

from .form import LABEL

Action = Callable[[], Any]  # False: refused, so that the keys after it must not act


class KeyLine:
    """A text field whose keys act at once; Enter empties it.

    Args:
        keys: what each key does; no key is the beginning of another.
        say: shows an error to the reviewer.
    """

    def __init__(self, keys: Mapping[str, Action], say: Callable[[str], None]):
        self.keys, self._say, self._halted = dict(keys), say, False
        self.widget = w.Text(description="keys", placeholder="for example g3 u2 a", style=LABEL)
        self.widget.observe(self._typed, names="value")
        self.widget.on_msg(self._entered)

    def type(self, line: str) -> None:
        """Apply a whole line of keys."""
        keys, rest = split_keys(line, self.keys)
        self._press([*keys, rest] if rest else keys)
        self._halted = False

    def _press(self, keys: Sequence[str]) -> None:
        for key in keys:
            if key not in self.keys:
                self._say(f"{key}: not a key. Nothing after it was done; press Enter, then go on.")
            if key not in self.keys or self.keys[key]() is False:
                self._halted = True
                return

    def _typed(self, change: Mapping[str, Any]) -> None:
        """Apply the keys that were added; the ones before them have been applied, whatever is deleted now."""
        (before, _), (now, _) = (split_keys(change[side], self.keys) for side in ("old", "new"))
        if not now:
            self._halted = False
        elif now[: len(before)] == before and not self._halted:
            self._press(now[len(before) :])

    def _entered(self, widget: w.Widget, content: Mapping[str, Any], buffers: Any) -> None:
        if content.get("event") == "submit":
            rest = split_keys(self.widget.value, self.keys)[1]
            self.widget.value = ""
            if rest:
                self._say(f"{rest}: not a key.")


def split_keys(line: str, known: Collection[str]) -> tuple[list[str], str]:
    """The keys of a line, and the beginning of one at its end.

    Keys need no space between them, except after a letter: "g3u2 a". So no letter of a word is taken for a key.
    """
    keys, word, letters = [], "", ""  # `letters` are those directly before the next one
    for letter in line.lower():
        if letter.isspace():
            keys, word, letters = keys + ([word] if word else []), "", ""
            continue
        late = bool(letters) and not word
        word, letters = word + letter, letters + letter if letter.isalpha() else ""
        if late and letters:
            keys, word = [*keys, letters], ""
        elif word in known or not any(key.startswith(word) for key in known):
            keys, word = [*keys, word], ""
    return keys, word
