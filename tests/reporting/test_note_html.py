"""The note as HTML: contrast of its colors in both themes, links between a raise and its quote, words before colors."""

import itertools
import re

import pytest

from irae_lib import Case, read, review
from irae_lib.files import DATA
from irae_lib.model.answers import Answer
from irae_lib.reporting.note_html import case_html, corrections_html, fields_html, marked, note_html, verdict_html
from irae_lib.reporting.verdict import ARROW, NOT_JUDGED, raises, verdict
from irae_lib.schemas import Assessment

CSS = re.sub(r"/\*.*?\*/", "", (DATA / "page" / "note.css").read_text(encoding="utf-8"), flags=re.S)
RULES = [
    (selector.strip(), dict(part.split(":", 1) for part in body.replace("\n", "").split(";") if part.strip()))
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", CSS)
]
NOTE = "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). No jaundice. Mother had hepatitis. 8 watery stools a day over baseline."
ROUTINE = Assessment(
    evidence=["ALT 640 U/L"],
    irae_detected=False,
    affected_systems=(),
    overall_severity="Unknown",
    urgency="routine",
    causality={"likelihood": "Unlikely"},
)


def tokens(theme: str) -> dict[str, str]:
    """The color tokens of a theme: the light ones, which the dark ones replace."""
    light, dark = ({k: v for k, v in body.items() if k.startswith("--")} for _, body in RULES if "--text" in body)
    return light if theme == "light" else light | dark


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(text: str, ground: str) -> float:
    """The contrast ratio of two colors, 1 to 21 (WCAG 2)."""
    high, low = sorted((luminance(text), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def pairs(theme: str) -> set[tuple[str, str]]:
    """Every text and background of the style that can meet: those of one rule, and each loose text on each ground."""
    named, both, texts, grounds = tokens(theme), set(), set(), set()
    for _, body in RULES:
        used = {
            name: re.sub(r"var\((--[\w-]+)\)", lambda match: named[match[1]], body[name])
            for name in ("color", "background", "box-shadow")
            if name in body
        }
        found = {name: color[0] for name, value in used.items() if (color := re.findall("#[0-9a-f]{6}", value))}
        text, ground = found.get("color"), found.get("background") or found.get("box-shadow")
        if text and ground:
            both.add((text, ground))
        texts |= {text} if text and not ground else set()
        grounds |= {ground} if ground and not text else set()
    grounds.add(named["--ground"])
    return both | set(itertools.product(texts | {named["--text"]}, grounds))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_every_background(theme):
    found = {pair: contrast(*pair) for pair in pairs(theme)}
    assert len(found) > 20
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < 4.5} == {}


def test_every_color_of_the_style_is_six_digits_so_that_contrast_sees_it():
    values = [value for _, body in RULES for name, value in body.items() if name.startswith("--") or "color" in name]
    assert all(re.fullmatch(r"#[0-9a-f]{6}|var\(--[\w-]+\)|inherit", value) for value in values), values


def test_a_quote_and_its_raise_link_to_each_other():
    case = Case(text=NOTE)
    result = review(case)
    note = note_html(NOTE, result.findings, (), result.corrections, anchors=True, prefix="a-")
    why = corrections_html(result, anchors=True, prefix="a-")
    assert len(result.corrections) > 4
    for number in range(len(result.corrections)):
        assert note.count(f'id="a-q-{number}"') == 1
        assert why.count(f'id="a-c-{number}"') == 1
    for group in raises(result):
        assert f'<a href="#a-q-{group.numbers[0]}">{group.first.quote}</a>' in why
        assert f'href="#a-c-{group.numbers[0]}"' in note
    assert re.sub(r"<[^>]*>", "", note) == NOTE
    plain = note_html(NOTE, result.findings, (), result.corrections)
    assert "href" not in plain
    assert "id=" not in plain


def test_a_rule_is_one_entry_whatever_it_raises_and_over_a_model_it_shows_what_was_before():
    case = Case(text="Nivolumab, cycle 3. ALT 640 U/L (ref 7-56).")
    alone, over = review(case), review(case, ROUTINE)
    assert len(alone.corrections) == len(over.corrections) == 4
    assert corrections_html(alone).count("<b>F06</b>") == 1
    assert "irAE: yes; organ: Hepatic; grade: Grade 3 - Severe; urgency: urgent" in corrections_html(alone)
    assert f"irAE: no {ARROW} yes; organ: none {ARROW} Hepatic" in corrections_html(over)


def test_pieces_are_the_note_in_order_with_every_mark_of_overlapping_spans():
    result = review(Case(text=NOTE), ROUTINE)
    pieces = list(marked(NOTE, result.findings, result.evidence, result.corrections))
    assert "".join(piece.text for piece in pieces) == NOTE
    assert ["basis", "current", "quote"] in [piece.looks for piece in pieces]


@pytest.mark.parametrize(
    ("text", "level", "title"),
    [
        ("Ipilimumab + nivolumab, dose 2. Drooping eyelids, short of breath lying flat.", "emergency", "act now"),
        ("Nivolumab, cycle 3. ALT 640 U/L (ref 7-56).", "urgent", "act today"),
        ("Nivolumab, cycle 3. ALT 240 U/L (ref 7-56).", "soon", "within three days"),
        ("Nivolumab, cycle 3. ALT 150 U/L (ref 7-56).", "routine", "Mild finding"),
        (
            "Nivolumab, cycle 9. Feels well. No diarrhea, rash or cough. ALT 25 U/L (ref 7-56).",
            "routine",
            "No irAE found",
        ),
        ("Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich.", "unread", "a person must read"),
    ],
)
def test_the_verdict_says_in_words_how_soon_to_act(text, level, title):
    result = review(Case(text=text))
    assert verdict(result).level == level
    assert title in verdict(result).title
    assert f'class="verdict {level}"' in verdict_html(result)
    assert verdict(result).title in verdict_html(result)


def test_a_note_not_assessed_shows_what_was_called_and_no_other_value():
    view = case_html(
        "x", review(Case(text="Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich."))
    )
    assert view.count(">not assessed</td>") == 5
    assert "not English" in view


def test_the_rules_alone_do_not_judge_causality_and_a_model_does():
    case = Case(text=NOTE)
    assert f">{NOT_JUDGED}</td>" in case_html(NOTE, review(case))
    assert NOT_JUDGED not in case_html(NOTE, review(case, ROUTINE), Answer(text="", assessment=ROUTINE))


def test_values_carry_the_name_of_their_column_for_screens_where_rows_stack():
    table = fields_html({"rules": {"irae_detected": "yes"}, "model": {"irae_detected": "no"}})
    assert '<td data-label="rules">yes</td><td data-label="model">no</td>' in table
    assert "@container" in CSS
    assert "overflow-wrap:anywhere" not in CSS  # it breaks a word in a narrow column


def test_a_long_note_is_marked_in_time_linear_in_its_length():
    text = NOTE + "\n"
    findings = read(Case(text=text))
    many = [
        f.model_copy(update={"start": f.start + k * len(text), "end": f.end + k * len(text)})
        for k in range(2000)
        for f in findings
    ]
    assert len(list(marked(text * 2000, many))) > 10_000
