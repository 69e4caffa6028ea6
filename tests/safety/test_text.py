"""The view of a note: what it decodes, and that every quote is exact in the note as it was given."""

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irae_lib import Case, read
from irae_lib.safety.text import View, normalise

VIEWS = [  # note, view
    ("ejection fraction of fifty five percent", "ejection fraction of 55 percent"),
    ("temperature one hundred and one point four", "temperature 101.4"),
    ("one thirty over eighty, 120 over 80", "130/80, 120/80"),
    ("two hundred thousand platelets", "200000 platelets"),
    ("rose from 20 over 30 days", "rose from 20 over 30 days"),
    ("ALT 1'250 U/L, 1 250 U/L, 1\u202f250", "ALT 1250 U/L, 1250 U/L, 1250"),
    ("150.000/mm3, TSH 1.250 mIU/L", "150000/mm3, TSH 1.250 mIU/L"),
    ("Day 1 250 mg", "Day 1 250 mg"),
    ("I do n't", "I don't"),
    ("&lt;85&#37; &amp;nbsp;x", "<85% \u00a0x"),
    ("a\\nb\\tc\\r\\nd", "a\nb\tc\nd"),
    ("ALT <uln and AST >3", "ALT <uln and AST >3"),
    ("<p>ALT</p><p>640</p>", "\nALT\n\n640\n"),
    ("<tr>\n <td>ALT</td>\n <td>640</td>\n</tr>", "\n ALT\t 640\t \n"),
    ("1½ tablets, ½ of it", "1.5 tablets, 0.5 of it"),
    ("☐ rash ☑ fever", "[ ] rash [x] fever"),
    ("pneu\u00admo\u200bnitis, cafe\u0301", "pneumonitis, cafe"),
    ("**ALT**: 640**", "ALT: 640**"),
    ("-ve for rash", "negative for rash"),
]


@pytest.mark.parametrize("note, view", VIEWS)
def test_view(note, view):
    assert View.of(note).text == view


def test_a_view_of_a_view_changes_nothing():
    for note, _ in VIEWS:
        text = View.of(note).text
        assert View.of(text).text == text


def test_hard_wrapped_lines_are_joined_and_lists_are_not():
    wrapped = (
        "The patient was admitted with three days of watery stools, up to eight a day and\n"
        "Nivolumab was held. Her laboratory results on admission included a creatinine of\n"
        "2.6 mg/dL."
    )
    assert "\n" not in View.of(wrapped).text
    listed = "No fever and no cough, no chest pain, no palpitations and no swelling\nRash on the trunk"
    assert View.of(listed).text == listed


def test_normalising_never_moves_a_character():
    text = "İstanbul – µmol/L ≥ 5 × 10⁹ “x” ﬁ ẞ\u2028 ALT"
    assert len(normalise(text)) == len(text)


PIECES = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<tr><td>",
        "</td><td>",
        "</td></tr>",
        "<br/>",
        "<b>",
        "</b>",
        "&nbsp;",
        "&lt;",
        "&#37;",
        "\\n",
        "\\t",
    ]
    + [
        "\u200b",
        "\u00a0",
        "½",
        "☐",
        "ﬁ",
        "é",
        "e\u0301",
        "1'250",
        "1 250 U/L",
        "fifty five percent",
        "do n't",
        "\n",
        "\t",
    ]
    + [
        " | ",
        ": ",
        "No",
        "ALT 640 U/L (ref 7-56)",
        "no fever",
        "diarrhea 8 times a day",
        "Grade 3 colitis",
        "nivolumab",
    ]
    + [
        "SpO2 85%",
        "T 38.5 C",
        "2 L oxygen",
        "H",
        "7-56",
        ". ",
        ", ",
        " ",
        "İ",
        "\u2028",
        "[ ]",
        "(-)",
        "troponin",
        "<",
        "&",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=30).map("".join).filter(str.strip))
def test_quotes_are_exact_in_the_note_as_given(note):
    for f in read(Case(text=note)):
        assert note[f.start : f.end] == f.quote, f
        assert f.quote, f


SENTENCES = [
    "Nivolumab, cycle 4.",
    "ALT 640 U/L (ref 7-56) & rising.",
    "Diarrhea 9 times a day.",
    "Rash <10% of the skin.",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_markup_and_escapes_change_no_finding(sentence):
    plain = [(f.name, f.value, f.status, f.low) for f in read(Case(text=sentence))]
    escaped = html.escape(sentence)
    for note in (
        f"<div><p>{escaped}</p></div>",
        escaped.replace(" ", "&nbsp;"),
        f"Seen today.\\n{sentence}\\n",
        f"<table><tr><td>{escaped}</td></tr></table>",
        sentence.replace("a", "a\u200b"),
    ):
        assert [(f.name, f.value.replace("\u00a0", " "), f.status, f.low) for f in read(Case(text=note))] == plain, note
