"""Many phrases as one regular expression that tries each letter once: "diarrh(?:ea|oea)"."""

from __future__ import annotations

import re
from collections.abc import Iterable


def any_of(phrases: Iterable[str]) -> str:
    """Return a pattern for these phrases that matches the longest.

    >>> any_of(["pal", "palsy", "pain"])
    'pa(?:l(?:sy)?|in)'
    """
    tree: dict[str, dict] = {}
    for phrase in phrases:
        node = tree
        for character in phrase:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branch(tree)


def any_word(phrases: Iterable[str]) -> re.Pattern[str]:
    """Any of these phrases as whole words."""
    return re.compile(rf"\b(?:{any_of(phrases)})\b")


def _branch(node: dict[str, dict]) -> str:
    ends = "" in node
    options = []
    for character, child in node.items():
        if character:
            head = re.escape(character)
            while len(child) == 1 and "" not in child:  # chains need no group
                character, child = next(iter(child.items()))
                head += re.escape(character)
            options.append(head + ("" if set(child) == {""} else _branch(child)))
    if not options:
        return ""
    body = options[0] if len(options) == 1 and not ends else f"(?:{'|'.join(options)})"
    return body + "?" if ends else body
