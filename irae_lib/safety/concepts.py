"""Findings in free wording: a concept is a set of word classes that occur together in a clause.

`concepts.json` lists word classes ("STOOL": stool, motion, poo ...) and, for each concept, its ways: "BLOOD STOOL"
matches any word of both classes, in either order, a few words apart. `composed` finds them in a scanned note and
returns finding tokens, which get their status in the same pass as all other tokens.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from .concept_table import Table, concept_table, showing
from .cues import RULES
from .matching import Place, Word, classes_of, closest, place_of, said, words_of
from .senses import guarded, has_senses, sensed
from .tokens import Token
from .ways import UNKNOWN, WORD, Way, Ways

_FILLERS = frozenset(  # words that do not count in a gap
    "a an the my his her their your our its this that is are was were be been being has have had got so very really too "
    "quite rather pretty just all way still also now again of bit even right i'm i've he's she's it's there's that's".split()
)
_NEGATORS = frozenset(
    "not no never isn't aren't wasn't weren't doesn't don't didn't hardly barely longer from than".split()
)
_AFTER_NORMAL = frozenset(
    "and or now today again since on at for with throughout too though then both in size signal enhancement function "
    "appearance appearances calibre limits range tone".split()
)
_ELSE = frozenset(("background", "rival"))  # findings that are another illness
_FOUND = frozenset(("finding", "lab", "vital"))
_VOID = frozenset(("symptom", "sign", "diagnosis"))  # findings that a phrase with another meaning removes
_MEANT = _VOID | {"imaging"}  # findings whose meaning depends on their neighbours
_FAR = 120  # characters around a concept in which duplicate findings are searched

_DENYING = frozenset(name for name, rule in RULES.items() if rule.status == "negated") | {"inability"}


def composed(norm: str, tokens: list[Token]) -> list[Token]:
    """The tokens plus those of the composed concepts, in order, without those absorbed by a larger concept."""
    table = concept_table()
    added: list[Token] = []
    used: list[tuple[int, int]] = []
    absorbed: set[int] = set()
    for first, last, group in _sentences(tokens, len(norm)):
        held = _held(table.ways, norm, first, last, group)
        numbers = table.ways.candidates(held)
        if not numbers and "NOTHING" not in held and not has_senses(held):
            continue  # most sentences stop here, before any place is built
        wanted = table.ways.relevant(numbers) | {"NORMAL"} | showing()
        for places in _clauses(table, norm, first, last, group, absorbed, wanted):
            found = said(table.ways, numbers, places)
            for way, chosen in ((way, closest_one) for way, groups in found for closest_one in closest(groups)):
                token = _token(table, way, chosen)
                edges = (bisect_left(group, at, key=_start) for at in (token.first - _FAR, token.end + _FAR))
                near = group[slice(*edges)]
                if _known(token, near) or _known(token, added[-12:]) or _has_value(token, chosen, near):
                    continue
                token.sentence = group[0].sentence if group else 0
                added.append(token)
                used += [(place.start, place.end) for place in chosen]
                if lost := table.absorbs[way.name]:
                    within = (t for t in (*near, *added[-12:]) if t.kind == "finding" and lost & set(t.names))
                    absorbed.update(id(t) for t in within if _in(t, chosen))
    if not added and not absorbed:
        return tokens
    used.sort()
    kept = [t for t in tokens if id(t) not in absorbed]
    for token in kept:
        if token.kind == "cue" and _covered(token, used):  # the "no" of "no strength" denies nothing
            token.cues = tuple(cue for cue in token.cues if cue not in _DENYING)
    added = [t for t in added if id(t) not in absorbed]
    return sorted(added + kept, key=lambda t: t.start)  # before a laboratory name there, as its number follows it


def _start(token: Token) -> int:
    return token.start


# --- the note -----------------------------------------------------------------------------------------------


def _sentences(tokens: list[Token], length: int) -> Iterator[tuple[int, int, list[Token]]]:
    """Offsets and tokens of each sentence."""
    first, group = 0, []
    for token in tokens:
        group.append(token)
        if token.kind == "end":
            yield first, token.start, group
            first, group = token.end, []
    yield first, length, group


def _held(ways: Ways, norm: str, first: int, last: int, group: list[Token]) -> set[str]:
    """The classes that a sentence may contain."""
    held = ways.held(WORD.findall(norm, first, last))
    for t in group:
        if t.kind in _FOUND:
            held |= _found(t.names)
    return held


@functools.lru_cache(maxsize=2_000)
def _found(names: tuple[str, ...]) -> frozenset[str]:
    """The classes of an existing finding."""
    return frozenset(f"<{name}>" for name in names)


def _clauses(
    table: Table, norm: str, first: int, last: int, group: list[Token], void: set[int], wanted: set[str]
) -> Iterator[list[Place]]:
    """The places of a wanted class in each clause of a sentence; a word like "but" begins a new clause.

    Findings inside a phrase with another meaning ("hay fever") are not places; `void` collects them.
    """
    findings: dict[int, list[Token]] = {}
    for t in group:
        if t.kind in _FOUND:
            findings.setdefault(t.start, []).append(t)
    words = words_of(norm, first, last, _FILLERS)
    places: list[Place] = []
    opens = 0  # the first word of the clause
    taken, edge = -1, first  # last word and end offset of a phrase with another meaning
    begun, ends = table.ways.begun, table.ends
    for i, (word, at, _, start, _) in enumerate(words):
        if begun(word) is UNKNOWN and start not in findings and word not in ends:
            continue  # most words
        classes = _classes(table.ways, words, i) if i > taken else {}
        if classes and "NOTHING" in classes[longest := max(classes)]:
            taken, edge = i + longest, words[i + longest].end  # other readings still count ("blood sugar")
            classes = {longest: classes[longest] - {"NOTHING"}}
        for t in findings.get(start, ()):
            if t.end <= edge and t.detail in _VOID:
                void.add(id(t))
                continue
            if not wanted.isdisjoint(_found(t.names)) or guarded(_found(t.names)):
                places.append(Place(_found(t.names), at, at + norm.count(" ", t.start, t.end), t.start, t.end))
        if word in ends and i > taken:
            yield _meant(places, opens, findings, void)
            places, opens = [], at + 1
        places += [
            place_of(words, i, length, names) for length, names in classes.items() if not wanted.isdisjoint(names)
        ]
    yield _meant(places, opens, findings, void)


def _meant(places: list[Place], opens: int, findings: dict[int, list[Token]], void: set[int]) -> list[Place]:
    """The places after their neighbours settle their meaning; `void` collects findings left without one."""
    meant = sensed(places, opens)
    if meant is not places:
        for before, after in zip(places, meant, strict=True):
            lost = before.classes - after.classes
            here = findings.get(before.start, ()) if lost else ()
            void.update(id(t) for t in here if t.detail in _MEANT and _loses(_found(t.names), before.classes, lost))
    return meant


def _loses(classes: frozenset[str], had: frozenset[str], lost: frozenset[str]) -> bool:
    return classes <= had and not classes.isdisjoint(lost)


def _classes(ways: Ways, words: list[Word], i: int) -> dict[int, frozenset[str]]:
    """The classes of the phrase at word `i`; "fine" has a class only where it says that all is well."""
    classes = classes_of(ways, words, i)
    if classes and "NORMAL" in classes[longest := max(classes)] and not _says_normal(words, i, i + longest):
        classes[longest] = classes[longest] - {"NORMAL"}
    return classes


def _says_normal(words: list[Word], first: int, last: int) -> bool:
    """Whether "fine" or "normal" describes the words before it: at the end of its part, and not denied."""
    if any(word.text in _NEGATORS for word in words[max(0, first - 2) : first]):
        return False
    after = words[last + 1] if last + 1 < len(words) else None
    return after is None or after.marks > words[last].marks or after.text in _AFTER_NORMAL


def _token(table: Table, way: Way, chosen: Sequence[Place]) -> Token:
    """The finding, placed at its last word, so that a denial before or between the parts reaches it.

    Numbers are left free for the value they belong to.
    """
    said = [place for place in chosen if not place.number] or chosen
    last = max(said, key=lambda p: p.end)
    token = Token("finding", last.start, last.end, (way.name,), table.kinds[way.name])
    token.first = min(p.start for p in chosen)
    return token


def _known(token: Token, others: Sequence[Token]) -> bool:
    """Whether an overlapping token already states the concept or contains it ("radiation pneumonitis")."""
    return any(
        (token.names[0] in t.names and t.first < token.end and token.first < t.end)
        or (
            t.start <= token.first
            and token.end <= t.end
            and (t.detail in _ELSE or (t.start < token.first or token.end < t.end))
        )
        for t in others
        if t.kind == "finding"
    )


def _has_value(token: Token, chosen: Sequence[Place], group: Sequence[Token]) -> bool:
    """Whether it describes a test whose value follows ("platelets have dropped to 19"); then the value counts."""
    starts = {place.start for place in chosen}
    if not any(t.kind == "lab" and t.start in starts for t in group):
        return False
    return any(t.kind == "number" and 0 <= t.start - token.end <= 8 for t in group)


def _in(token: Token, chosen: Sequence[Place]) -> bool:
    return any(place.start < token.end and token.start < place.end for place in chosen)


def _covered(token: Token, used: list[tuple[int, int]]) -> bool:
    at = bisect_right(used, (token.start, 1 << 60)) - 1
    return at >= 0 and used[at][0] <= token.start < used[at][1]
