"""Whose findings: follow a person through the sentences of a note, and decide who the patient is.

"My sister is on ward 9: she goes ten times a day" is about the sister until the patient is the subject again. "My
husband has had diarrhoea since Friday, he is on pembrolizumab" is about the patient, and a relative is writing.
`subjects` returns the spans about other people and those about a relative who is the patient. The words are data
(`subjects.json`); this code knows no diseases.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .lexicon import common_english
from .people import people_words
from .tokens import Token, within
from .writers import relative_writes, retracted, writer_spans

_SENTENCE = re.compile(r"(?:[^.!?;\n]|[.!?;](?=\S))+[.!?;]?|\n")
_NAME = re.compile(
    r"(?: of (?:the )?(?:patient|pt))?"
    r"(?:,? \(?[A-Z][a-z'-]+(?: [A-Z][a-z'-]+)?\)?,?)?"
    r"(?: \(?(?:aged? |who is )?\d{1,2}(?: ?y(?:o|rs?)?| (?:years|months) old)?\)?,?)?"
    r"(?:,? \((?:not |nb |who is )[^()\n]{1,40}\))?"  # "wife (not our patient)"
)
_ACTS = re.compile(
    r"\)?,?(?:\s?:|'s\b|\sthat(?:'s| is| has)\b|\st \d|\s(?:(?:also|both|recently|just|now|who|still|actually|has|have|had)\s)*(?:has|had|have|having|is|was|were|are|been|"
    r"being|got|gets|goes|gone|went|keeps|kept|developed|started|starts|begins|began|came|comes|down|suffers|suffered|"
    r"takes|took|caught|ended|needed|needs|died|passed|can't|cannot|could|couldn't|both|also|who|unwell|sick|ill|poorly|"
    r"with|on|off|in|vomiting|vomited|vomits|coughing|coughs|wheezes|threw|drinks|drank|newly|diagnosed|admitted|slept|stayed|visited|woke|brought|turned|rang|phoned)\b)"
)
_ANIMAL_ACTS = re.compile(r"\s[a-z]+(?:s|ed)\b|\sdown\b")
_NAMES = re.compile(r"\b(?:is|was) (?:the|her|his|their|a) $")  # "Mr Ferris is the husband"
_WORRY = re.compile(
    r",? (?:that |who |whom )?i(?:'m| am) (?:\w+ )?(?:worried|concerned|writing|calling|asking|ringing|messaging|fretting|anxious)\b"
)
_WHO = re.compile(r",? who\b")
_TOPIC = re.compile(
    r"\bon behalf of (?:my |our )?$|\b(?:it's|it is|this is|not me,?|because of|worried for) (?:my |our |the )$|\b(?:is|message|question|query|asking|writing|calling|ringing|email|call) (?:about|regarding|re|for|concerning) (?:my |her |his |the )?$"
)
_FIRST_NAME = re.compile(r"\W*(?P<name>[A-Z][a-z]{2,})\b")
_PASSIVE = re.compile(
    r"\b(?:per|by|from|with|to|via|told|asked|and|for|on|gave|give|his|of|like|than) (?:(?:his|her|the|my|their|a) )?$"
)
_PRONOUN = re.compile(
    r"\W*(?:(?:so|then|and|but|now|also|later|after that|since then|today|yesterday|last (?:week|night)|at first|apparently|in the end|eventually|"
    r"[a-z]+ said|(?:since|from|on|by|for|until|every|all|over|after|before|at|in|about|around|last|this|these|the past) "
    r"[a-z0-9]+(?: (?:night|morning|evening|afternoon|days?|weeks?|hours?|years?|couple of days))?)\b,?\s*)*"
    r"(?P<who>he|she|they|his|her|their)\b"
)
_GENDER = re.compile(
    r"\b\d{2,3} ?(?:(?:-| )?(?:years?|yrs?)(?:-| )old |y/?o |yr )?(?P<f>f\b|female|woman|lady)|"
    r"\b\d{2,3} ?(?:(?:-| )?(?:years?|yrs?)(?:-| )old |y/?o |yr )?(?P<m>m\b(?!g)|male|man|gentleman)|\b(?P<mrs>mrs|ms|miss)\b|\b(?P<mr>mr)\b"
)
_SELF_SAID = re.compile(r"\b(?:patient|pt) h(?:er|im)self\b")  # quoted words are not the writer's
_WRITER = re.compile(r"\bmy\b")
_CALLED = re.compile(  # a child's name for the patient: "Mum can't keep anything down"; "my mum" may be anybody's
    r"(?<!my )(?<!his )(?<!her )(?<!your )(?<!their )(?<!our )(?<!the )(?<!and )(?<!or )(?<!of )(?<!in )(?<!her own )"
    r"\b(?P<word>mum|mummy|mom|mam|dad|daddy|nan|nana|gran|grandma|grandad|granddad|grandpa|hubby)\b(?!,? (?:and|or)\b)"
    r"(?=(?:'s)? (?:has|is|was|can|ca|could|won|keeps?|gets?|got|says|sleeps?|looks?|seems?|feels?|had|been|now|just|still|"
    r"cannot|went|goes|did|does|needs?|\w+(?:s|ed|n't)?)\b)"
)
_SPEAKS = re.compile(r"\bi(?:'m|'ve| am| have)\b|\bmine\b|\bme\b")
_FIRST = re.compile(r"\bi(?:'(?:m|ve|d|ll))?\b(?!\.|/|')|\bmyself\b|\bmine\b|\bmy own\b")
_THIRD = re.compile(r"(?<!other )(?<!another )(?<!\ba )\b(?:the )?(?:patient|pt)\b(?!'s| in the next)")
_HE_OR_SHE = {"f": re.compile(r"\bhe\b"), "m": re.compile(r"\bshe\b")}
_PRONOUNS = {"f": re.compile(r"\b(?:she|her|hers)\b"), "m": re.compile(r"\b(?:he|him|his)\b")}
_PRONOUN_OF = {"he": "m", "his": "m", "she": "f", "her": "f"}
_CARE = ("self_care",)
_NO_OWNER = (None, "he's", "she's", "it's", "that's")
_OWN = ("my", "our", "")  # a relative of the writer; "his wife" is a relative of the patient
_IN_THE_PAST = re.compile(
    r"[^.;,]{0,30}?(?<!has )(?<!have )(?<!'s )(?<!'ve )\b(?:had|was)\b"
)  # "mother had melanoma, treated with ipilimumab"
_SELF = re.compile(r"\bi(?:'(?:m|ve|d))?\b|\bmy\b|\b[a-z]+ here\b(?= ?[(,:-])")  # "Tanya R here (Keytruda)"
_SELF_ENDS = re.compile(r"[.!?;\n]|\b(?:he|she|his|her|they|husband|wife|mum|mom|dad)\b")


class Subjects(NamedTuple):
    """Spans of the note about other people, and spans about a relative who is the patient."""

    others: list[tuple[int, int]]
    patient: list[tuple[int, int]]


class _Story(NamedTuple):
    """The account of one person: the word for the person, gender, owner ("my", "his") and spans."""

    word: str
    gender: str
    owner: str
    spans: list[tuple[int, int]]


def subjects(text: str, norm: str, tokens: Sequence[Token]) -> Subjects:
    """The people that spans of the note are about, where it may mean anyone but the patient."""
    others = writer_spans(text, norm) + retracted(norm)
    if people_words().someone.search(norm) is None and people_words().acquaintance.search(norm) is None:
        return Subjects(others, [])
    stories = list(_stories(text, norm))
    drugs = [t.start for t in tokens if t.kind == "ici"]
    patient = _patient(norm, stories, drugs)
    others += [span for story in stories if story.word != patient for span in story.spans]
    return Subjects(others, [span for story in stories if story.word == patient for span in story.spans])


def attribute(tokens: Sequence[Token], told: Subjects) -> None:
    """Run before statuses are assigned: a relative who is the patient does not count as family."""
    for token in _told(tokens, told.patient):
        if "family" in token.cues:
            token.cues = tuple(cue for cue in token.cues if cue != "family")


def impose_subjects(norm: str, tokens: Sequence[Token], told: Subjects) -> None:
    """Run after it: findings of other people are not the patient's, except care that the patient receives."""
    for token in _told(tokens, told.others):
        if token.kind in ("finding", "lab", "vital", "ici", "drug", "number"):
            token.status = "family"
    for token in tokens:  # "his wife is combing his hair"
        cared = token.names == _CARE and token.status == "family"
        if cared and people_words().relation.search(norm, token.first, token.end):
            token.status = "current"


def _told(tokens: Sequence[Token], spans: list[tuple[int, int]]) -> Iterator[Token]:
    return (token for start, end in spans for _, token in within(tokens, start, end))


# --- the stories ----------------------------------------------------------------------------------------------


def _stories(text: str, norm: str) -> Iterator[_Story]:
    """Every person who is the subject of a sentence, with the spans until the subject changes."""
    spoken = _SELF_SAID.search(norm)
    gender = "i" if _WRITER.search(norm) or relative_writes(norm) else _patient_gender(norm)
    gender = gender if spoken is None else "f" if spoken.group().endswith("herself") else "m"
    first_person = gender == "i" or _SPEAKS.search(norm) is not None
    gender = gender or ("i" if first_person else "")
    story: _Story | None = None
    for match in _SENTENCE.finditer(norm):
        start, end = match.span()
        if norm[start] == "\n":
            if norm.startswith("\n", end) or not _PRONOUN.match(norm, end):
                story = None
            continue
        mentions = list(_mentions(text, norm, start, end))
        if first_person:
            known = _acquaintances(text, norm, start, end)
            mentions = sorted((*mentions, *known), key=lambda mention: mention.spans[0])
        if story is not None and _goes_on(text, norm, start, end, story, gender):
            stop = min(_end(norm, start, end, story.gender), mentions[0].spans[0][0] if mentions else end)
            story.spans.append((start, stop))
            story = story if stop == end else None
        elif not mentions:
            story = None
        for i, mention in enumerate(mentions):
            at = mention.spans[0][0]
            limit = mentions[i + 1].spans[0][0] if i + 1 < len(mentions) else end
            stop = _end(norm, at, limit, mention.gender)
            mention.spans[0] = (at, stop)
            story = mention
            yield mention


def _mentions(text: str, norm: str, start: int, end: int) -> Iterator[_Story]:
    """The people who act in a sentence, except those who only report about the patient."""
    words = people_words()
    for match in words.relation.finditer(norm, start, end):
        if match["word"] in words.animals and match["owner"] in _NO_OWNER:
            continue  # "dog tired", "seeing cats"
        named = _NAMES.search(norm, max(start, match.start() - 12), match.start("word"))
        after = _NAME.match(text, match.end()).end()
        topic = _TOPIC.search(norm, max(start, match.start() - 24), match.start("word"))
        if (
            topic is None
            and named is None
            and _WORRY.match(norm, after) is None
            and (
                not (_ACTS.match(norm, after) or (match["word"] in words.animals and _ANIMAL_ACTS.match(norm, after)))
                or (
                    not _WHO.match(norm, after) and _PASSIVE.search(norm, max(start, match.start() - 20), match.start())
                )
                or words.informs.search(norm, after, min(end, after + 26))
            )
        ):
            continue
        owner = "" if topic is not None else match["owner"] or ""  # "calling about her husband"
        first = after if norm.startswith(" of ", match.end()) else match.start()  # "the mother of the patient died"
        yield _Story(match["word"], words.gender[match["word"]], owner, [(first, end)])


def _acquaintances(text: str, norm: str, start: int, end: int) -> Iterator[_Story]:
    """People known to the writer by name or from next door: "Jeannie who sat across from me"."""
    for match in people_words().acquaintance.finditer(norm, start, end):
        name = match["name"]
        if name is None or text[match.start("name")].isupper():
            yield _Story(name or "acquaintance", "n", "another", [(match.end() - 1, end)])


def _goes_on(text: str, norm: str, start: int, end: int, story: _Story, gender: str) -> bool:
    """Whether a sentence with a pronoun continues about the person; only if the pronoun cannot mean the patient."""
    if people_words().about_self.search(norm, start, end):
        return True
    pronoun = _PRONOUN.match(norm, start, end)
    if pronoun is None and gender == "i" and _is_name(text, norm, start):
        return True  # "it's my husband. Rick's been down since Sunday"
    if pronoun is None:
        other = _HE_OR_SHE.get(gender)
        ends = _end(norm, start, end, "")
        return other is not None and story.gender != gender and _named_only(norm, start, ends, gender)
    meant = _PRONOUN_OF.get(pronoun["who"], "")
    if meant and story.gender != "n" and meant != story.gender:
        return False
    return gender == "i" or (bool(gender) and meant not in ("", gender))


def _is_name(text: str, norm: str, start: int) -> bool:
    """Whether a sentence begins with a first name followed by a verb."""
    name = _FIRST_NAME.match(text, start)
    known = name is None or name["name"].lower() in common_english()
    return not known and _ACTS.match(norm, name.end("name")) is not None


def _named_only(norm: str, start: int, end: int, gender: str) -> bool:
    """Whether all pronouns have the gender opposite to the patient's: "sugar was 612, they gave her a drip"."""
    mine, other = _PRONOUNS[gender], _PRONOUNS["m" if gender == "f" else "f"]
    return other.search(norm, start, end) is not None and mine.search(norm, start, end) is None


def _end(norm: str, start: int, end: int, gender: str) -> int:
    """The offset where the patient is the subject again, or the end of the sentence."""
    ends = [_FIRST.search(norm, start + 1, end), _THIRD.search(norm, start + 1, end)]
    if gender in _HE_OR_SHE:
        ends.append(_HE_OR_SHE[gender].search(norm, start + 1, end))
    return min((match.start() for match in ends if match), default=end)


def _patient_gender(norm: str) -> str:
    match = _GENDER.search(norm)
    return "" if match is None else "f" if match["f"] or match["mrs"] else "m"


# --- the patient ----------------------------------------------------------------------------------------------


def _patient(norm: str, stories: list[_Story], drugs: list[int]) -> str:
    """The relative who is the patient; "" if the patient is the writer or the person the note is about."""
    words = people_words()
    writes = _WRITER.search(norm) is not None or relative_writes(norm)
    speaks = writes or _CALLED.search(norm) or _caller(norm) or not (_THIRD.search(norm) or _GENDER.search(norm))
    if _treated_self(norm, drugs) or not speaks:
        return ""
    told = {story.word: "" for story in stories if story.owner in _OWN and story.word not in words.animals}
    treated: dict[str, bool] = {}
    for story in stories:
        if story.word in told:
            told[story.word] += " ".join(norm[a:b] for a, b in story.spans)
            given = any(_falls_in(drugs, a, b) for a, b in story.spans)
            treated[story.word] = treated.get(story.word, False) or given
    alive = [word for word in told if not words.dead.search(told[word])]
    if given_to := [word for word in alive if treated[word]]:
        return "" if not writes and _IN_THE_PAST.match(told[given_to[0]]) else given_to[0]
    if not writes and (called := _CALLED.search(norm)) and called["word"] in alive:
        return called["word"]
    if not writes or (drugs and len(told) > 1):
        return ""  # the drug belongs to the person the note is about
    likely = [word for word in alive if words.treated.search(told[word])]
    return likely[0] if likely else alive[0] if len(told) == len(alive) == 1 else ""


def _falls_in(places: list[int], start: int, end: int) -> bool:
    at = bisect_left(places, start)
    return at < len(places) and places[at] < end


def _caller(norm: str) -> bool:
    """Whether a relative speaks for the patient: "wife calling: husband on pembrolizumab"."""
    words = people_words()
    return any(
        words.informs.search(norm, match.end(), match.end() + 26) for match in words.relation.finditer(norm, 0, 4000)
    )


def _treated_self(norm: str, drugs: list[int]) -> bool:
    """Whether the writer reports being, or never having been, under treatment."""
    words = people_words()
    for match in _SELF.finditer(norm):
        if match.group() == "my" and words.relation.match(norm, match.start()):
            continue
        stop = _SELF_ENDS.search(norm, match.end(), match.end() + 70)
        end = stop.start() if stop else match.end() + 70
        if words.treated.search(norm, match.end(), end) or _falls_in(drugs, match.end(), end):
            return True
    return False
