"""Screening: each row answered or in the dead letters, shards whole or not there, the rules whatever happens."""

import asyncio
import json
import math
import subprocess
import sys

import pytest
from stub_server import StubServer, tuned

from irae_lib import files
from irae_lib.cases import read_cases, validated_cases
from irae_lib.errors import AccessError, RunError, SchemaError
from irae_lib.files import ROOT
from irae_lib.model.grammar import assessment_grammar
from irae_lib.schemas import FIELDS
from irae_lib.screening import shards
from irae_lib.screening.__main__ import main
from irae_lib.screening.notes import read_notes
from irae_lib.screening.rows import rules_hash, rules_row
from irae_lib.screening.screen import apply_rules, ask_model
from irae_lib.screening.server import Server
from irae_lib.screening.shards import WHOLE, ShardPart
from irae_lib.screening.stage import SHARD, ScreeningRun, Stage
from irae_lib.screening.token_confidence import read_confidence

GRAVE = "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56)."
WELL = "Nivolumab, cycle 3. Feels well."


def write(path, texts):
    path.write_text("".join(json.dumps({"id": f"n{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    return path


def rules(path, out, *, workers=1, **run):
    return apply_rules(ScreeningRun(path, out, **run), workers=workers)


def ask(path, out, url, *, structured=True, server=(), shard=SHARD, part=WHOLE, **options):
    settings = {"concurrency": 4, "timeout": 5.0, "tries": 3, "pause": 0.01, "outage": 0.0, "structured": structured}
    run = ScreeningRun(path, out, shard, part)
    return asyncio.run(ask_model(run, Server(url, "irae", **settings | dict(server)), log=lambda line: None, **options))


def rows(out, stage):
    return [json.loads(line) for path in sorted((out / stage).glob("*.jsonl")) for line in path.open()]


def dead(out, stage):
    return {row["id"]: row["reason"] for row in map(json.loads, (out / f"dead_letters_{stage}.jsonl").open())}


# --- reading --------------------------------------------------------------------------------------------


def test_three_forms_give_the_same_notes(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = [{"id": "a", "text": "Note, one.", "ward": "7"}, {"id": "b", "text": "Two", "ward": "8"}]
    (tmp_path / "n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    (tmp_path / "n.csv").write_text('id,text,ward\na,"Note, one.",7\nb,Two,8\n')
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), tmp_path / "n.parquet")
    found = [list(read_notes(tmp_path / f"n.{form}", site="ward")) for form in ("jsonl", "csv", "parquet")]
    assert found[0] == found[1] == found[2]
    assert [(n.place, n.id, n.case.text, n.site) for n in found[0]] == [
        (0, "a", "Note, one.", "7"),
        (1, "b", "Two", "8"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "found list"),
        (
            '{"id": "x", "Note": "a"}',
            "no note in it: expected text, or medications, labs, vitals, symptoms, notes; 2 columns are there",
        ),
        (json.dumps({"text": "x" * 2_000_001}), "2000000 characters"),
        ('{"labs": {"ALT": 640}}', "labs: expected text, or a list of texts"),
        ('{"text": "a", "notes": "b"}', "not both"),
        ("[" * 100_000, "not JSON (RecursionError)"),
        (f'{{"text": "a", "age": {"9" * 5000}}}', "not JSON (ValueError)"),
        (r'{"text": "half a pair \ud83d"}', "text"),
    ],
)
def test_a_bad_row_has_its_place_and_its_reason(tmp_path, line, reason):
    (tmp_path / "n.jsonl").write_text(f'{{"text": "good"}}\n{line}\n{{"text": "good too"}}\n')
    good, bad, last = read_notes(tmp_path / "n.jsonl")
    assert (bad.place, bad.case) == (1, None)
    assert reason in bad.problem
    assert (good.id, last.id, last.place) == ("n-1", "n-3", 2)
    assert bad.id == ("x" if '"x"' in line else "n-2")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("n.txt", "x", "unknown file type"),
        ("absent.jsonl", None, "absent.jsonl not found"),
        ("n.parquet", "PAR1 and then nothing", "not a Parquet file, or a damaged one"),
        ("n.csv", "Nivolumab and no header, cycle 3\nwell,", "no column holds a note"),
        ("n.csv", 'id,text\n5,"abc\n6,"def"\n7,"g"\n', "not CSV after line"),
        ("n.csv", f'id,text\n1,"{"never closed " * 800_000}', "not CSV after line 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_no_note_text_is_told(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SchemaError, match=reason) as told:
        list(read_notes(tmp_path / name))
    assert "Nivolumab" not in str(told.value)


def test_a_misspelt_column_is_refused_and_an_empty_cell_is_no_word(tmp_path):
    (tmp_path / "n.jsonl").write_text('{"text": "a", "ward": null}\n{"text": "b", "ward": "\\ud800"}\n')
    assert [note.site for note in read_notes(tmp_path / "n.jsonl", site="ward")] == ["", "?"]
    with pytest.raises(SchemaError, match="no column 'wrad' to count by"):
        read_notes(tmp_path / "n.jsonl", site="wrad")


def test_a_cell_that_is_too_long_a_note_ends_nothing(tmp_path):
    (tmp_path / "n.csv").write_text(f'id,text\n1,"{"x" * 2_000_001}"\n2,well\n')
    long, good = read_notes(tmp_path / "n.csv")
    assert "2000000 characters" in long.problem
    assert good.case.text == "well"


FIELD = "Pembrolizumab, cycle 4. ALT 640 U/L (ref 7-56). Temp 38.9 °C, stools 8–10 a day over baseline."


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep="])
def test_csv_as_spreadsheets_save_it(tmp_path, encoding, mark, first):
    path = tmp_path / ("n.tsv" if mark == "\t" else "n.csv")
    lines = [f"{first}{mark}"] if first else []
    lines += [mark.join(("id", "text", "ward")), mark.join(("a", f'"{FIELD}"', "7")), ""]
    path.write_text("\r\n".join(lines), encoding=encoding, newline="")
    (note,) = read_notes(path, site="ward")
    assert (note.id, note.case.text, note.site) == ("a", FIELD, "7")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_json_lines_of_another_encoding_are_decoded_and_said(tmp_path, capsys, encoding):
    path = tmp_path / "n.jsonl"
    path.write_text(json.dumps({"id": "a", "text": FIELD}, ensure_ascii=False) + "\n", encoding=encoding)
    assert [note.case.text for note in read_notes(path)] == [FIELD]
    assert main([str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "n.jsonl is not UTF-8: read as" in capsys.readouterr().out


def test_a_damaged_byte_in_utf_8_costs_one_character(tmp_path):
    path = tmp_path / "n.csv"
    path.write_bytes("id,text\na,well\nb,38.9 °C – warm\nc,bad ".encode() + b"\xff byte\n")
    assert [note.case.text[-6:] for note in read_notes(path)][1:] == ["– warm", "\ufffd byte"]


@pytest.mark.parametrize(
    ("text", "found"),
    [('[\n {"id": "p1", "text": "x"}\n]\n', "a JSON array"), ('{\n "text": "x"\n}\n', "JSON over several lines")],
)
def test_one_json_document_is_refused_in_one_sentence(tmp_path, text, found):
    (tmp_path / "a.jsonl").write_text(text)
    for read in (lambda path: list(read_notes(path)), read_cases):
        with pytest.raises(SchemaError, match=f"a.jsonl: {found}, not JSON lines"):
            read(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "an Excel, Word or ZIP file"), (b"%PDF-1.7", "a PDF"), (b"\x1f\x8b\x08", "a compressed file")],
)
@pytest.mark.parametrize("name", ["n.csv", "n.jsonl", "n.tsv"])
def test_a_file_that_is_not_text_is_named(tmp_path, start, kind, name):
    (tmp_path / name).write_bytes(start + bytes(range(256)) * 9)
    for read in (lambda path: list(read_notes(path)), read_cases):
        with pytest.raises(SchemaError, match=f"{name} is {kind}, not text"):
            read(tmp_path / name)


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "n.csv").write_text("id,text,text\na,b,c\n")
    with pytest.raises(SchemaError, match="two columns are called 'text'"):
        list(read_notes(tmp_path / "n.csv"))


@pytest.mark.parametrize(
    ("age", "read"),
    [("90+", None), (">89", None), (300, None), (71.0, 71), (71.5, 71), ("71 y", 71), ("63", 63), ("old", None)]
    + [(-4, None), (float("nan"), None), ("", None), ({"value": 3}, None)],
)
def test_an_age_never_costs_the_note(tmp_path, age, read):
    sections = {"medications": "nivolumab, cycle 4", "labs": ["ALT 640 U/L (ref 7-56)", None]}
    (tmp_path / "n.jsonl").write_text(
        "".join(json.dumps({"age": age} | one) + "\n" for one in (sections, {"text": FIELD}))
    )
    first, second = read_notes(tmp_path / "n.jsonl")
    assert (first.case.age, second.case.age, second.case.text) == (read, read, FIELD)
    assert rules_row(first)["final"]["urgency"] == "urgent"


# --- the rules alone ------------------------------------------------------------------------------------


def test_rules_read_every_note_in_order_and_bad_rows_have_a_reason(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, WELL] * 5)
    path.write_text(path.read_text() + "{\n")
    one = rules(path, tmp_path / "out", workers=2, shard=3)
    assert (one.rows, one.skipped, one.bad, one.failed, one.alerts) == (11, 0, 1, 0, 5)
    assert not one.clean
    found = rows(tmp_path / "out", "rules")
    assert [row["place"] for row in found] == list(range(11))
    assert [row["final"]["alert"] for row in found[:4]] == [True, False, True, False]
    assert found[0]["final"]["overall_severity"] == "Grade 3 - Severe"
    assert [(one["rule"], one["quote"]) for one in found[0]["raises"]] == [("F06", "ALT 640 U/L (ref 7-56)")]
    assert found[0]["raises"][0]["to"]["urgency"] == "urgent"
    assert "CK" in found[0]["advisories"][0], "advice of the rules stays with the row"
    assert dead(tmp_path / "out", "rules") == {"n-11": "not JSON (JSONDecodeError)"}
    assert "Nivolumab" not in "".join(p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_what_is_done_is_skipped_and_other_input_is_refused(tmp_path):
    path, out = write(tmp_path / "n.jsonl", [GRAVE] * 7), tmp_path / "out"
    rules(path, out, shard=3)
    before = {p.name: p.read_bytes() for p in (out / "rules").iterdir()}
    (out / "rules" / "0000001.jsonl").unlink()
    again = rules(path, out, shard=3)
    assert again.skipped == 4
    assert {p.name: p.read_bytes() for p in (out / "rules").iterdir()} == before
    with pytest.raises(RunError, match="shard differ"):
        rules(path, out, shard=2)
    with pytest.raises(RunError, match="sha256 differ"):
        rules(write(path, [WELL]), out, shard=3)


# --- a model --------------------------------------------------------------------------------------------


def test_two_passes_ask_the_whole_question_only_for_what_is_flagged(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, WELL])
    with StubServer() as server:
        one = ask(path, tmp_path / "out", server.url)
        assert one.clean
        assert one.alerts == 2
        assert sum(server.asked.values()) == 4
    first, second = rows(tmp_path / "out", "model")
    assert first["asked"] == "full", "the rules raise what the model says"
    assert first["final"]["urgency"] == "urgent", "the rules raise what the model says"
    assert first["disagrees"] == ["overall_severity", "urgency", "likelihood"]
    manifest = json.loads((tmp_path / "out" / "model" / "manifest.json").read_text())
    assert manifest["prompt"] == "compact-1"
    assert manifest["two_passes"]
    assert len(manifest["rules"]) == 64


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("429", "HTTP 429"),
        ("500", "HTTP 500"),
        ("401", "HTTP 401"),
        ("malformed", "unreadable: not JSON"),
        ("schema", "unreadable: urgency"),
        ("cut", "cut off after 512 tokens"),
        ("tells", "HTTP 400: the prompt has 9,000 tokens"),
        ("nonsense", "not that of a chat completion"),
        ("hang", "no answer in 0 s"),
        ("close", "the connection broke"),
        ("half", "the connection broke"),
    ],
)
def test_whatever_a_server_does_the_row_ends_somewhere_and_the_rules_stand(tmp_path, how, reason):
    texts = [f"{GRAVE} [[{how}]]", f"{GRAVE} a [[{how} 1]]", GRAVE]
    path, out = write(tmp_path / "n.jsonl", texts), tmp_path / "out"
    with StubServer(hang=1.0) as server:
        timeout = 0.5 if how == "hang" else 5.0
        one = ask(path, out, server.url, two_passes=False, server={"timeout": timeout})
        asked = dict(server.asked)
    final = [row["final"] for row in rows(out, "model")]
    assert [one["overall_severity"] for one in final] == ["Grade 3 - Severe"] * 3, "the rules' verdict stands"
    lost = dead(out, "model")
    assert reason in lost["n0"]
    assert "n2" not in lost
    assert not one.clean
    if how in ("401", "tells", "malformed", "schema", "cut"):  # would not be otherwise the second time
        assert one.failed == 2
        assert set(asked.values()) == {1}
    else:
        assert one.failed == 1
        assert sorted(asked.values()) == [1, 2, 3]


def test_a_server_that_ignores_the_schema_is_found_out_before_a_note_is_sent(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE])
    with StubServer(schemas=False) as server:
        with pytest.raises(AccessError, match="ignores response_format"):
            ask(path, tmp_path / "out", server.url)
        assert not server.asked
        assert ask(path, tmp_path / "out2", server.url, structured=False).clean


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE])
    with pytest.raises(AccessError, match=r"does not answer for model 'irae' \(ConnectError\)"):
        ask(path, tmp_path / "out", "http://127.0.0.1:9/v1")


def test_a_server_that_is_restarted_costs_no_note(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} {i}" for i in range(60)])

    async def restarted() -> tuple:
        with StubServer(delay=0.05) as first:
            port = first.server.server_port
            how = {"concurrency": 4, "timeout": 2.0, "tries": 3, "pause": 0.05, "outage": 20.0}
            server = Server(first.url, "irae", **how)
            asking = asyncio.create_task(
                ask_model(ScreeningRun(path, tmp_path / "out"), server, two_passes=False, log=lambda _: None)
            )
            await asyncio.sleep(0.4)
        await asyncio.sleep(0.5)
        with StubServer(port=port) as second:
            return await asking, sum(second.asked.values())

    one, later = asyncio.run(restarted())
    assert one.clean
    assert one.rows == 60
    assert 0 < later <= 60


def test_no_more_requests_at_once_than_asked_for_and_the_key_goes_along(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} {i}" for i in range(40)])
    with StubServer(delay=0.1) as server:
        ask(
            path,
            tmp_path / "out",
            server.url,
            two_passes=False,
            server={"concurrency": 7, "key": "secret", "timeout": 5},
        )
    assert 1 < server.most_at_once <= 7
    assert server.authorization == {"Bearer secret"}
    assert "secret" not in "".join(p.read_text() for p in (tmp_path / "out").rglob("*.json*"))


def test_an_interrupted_run_goes_on_and_ends_like_an_undisturbed_one(tmp_path, monkeypatch):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} {i}" for i in range(30)] + [WELL] * 5)
    with StubServer() as server:
        ask(path, tmp_path / "whole", server.url, shard=4, two_passes=False)
        count, real = iter(range(4)), shards.write_lines

        def failing(path, found):
            if next(count, None) is None:
                raise OSError(28, "No space left on device")
            real(path, found)

        monkeypatch.setattr(shards, "write_lines", failing)
        with pytest.raises(RunError, match="results could not be written: No space left"):
            ask(path, tmp_path / "broken", server.url, shard=4, two_passes=False)
        monkeypatch.setattr(shards, "write_lines", real)
        again = ask(path, tmp_path / "broken", server.url, shard=4, two_passes=False)
    assert again.skipped == 16

    def plain(out):
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows(out, "model")]

    assert plain(tmp_path / "broken") == plain(tmp_path / "whole")


def test_what_has_no_answer_is_asked_again_on_request(tmp_path):
    path, out = (
        write(tmp_path / "n.jsonl", [f"{GRAVE} {i}" for i in range(6)] + [f"{GRAVE} [[401 1]]"]),
        tmp_path / "out",
    )
    with StubServer() as server:
        assert ask(path, out, server.url, shard=4, two_passes=False).failed == 1
        assert ask(path, out, server.url, shard=4, two_passes=False).failed == 1, "not by itself"
        again = ask(path, out, server.url, shard=4, two_passes=False, retry=True)
        assert server.asked.total() == 8, "7 notes, one of them twice: the others stay"
    assert again.clean
    assert again.skipped == 6
    assert dead(out, "model") == {}


def test_a_short_answer_stays_where_the_whole_one_fails(tmp_path):
    path, out = write(tmp_path / "n.jsonl", [WELL]), tmp_path / "out"
    with StubServer(whole="[[401]]") as server:
        one = ask(path, out, server.url)
    (row,) = rows(out, "model")
    assert one.failed == one.alerts == 1
    assert row["problem"] == "HTTP 401"
    assert row["asked"] == "short"
    assert row["model"]["affected_systems"] == ["Hepatic"]
    with StubServer(answers={WELL: "{"}) as server:
        assert ask(path, out, server.url, retry=True).failed == 1
    assert rows(out, "model") == [row], "a retry that fails takes nothing away"


def test_a_server_that_refuses_everybody_ends_the_run_and_not_the_notes(tmp_path):
    path, out = write(tmp_path / "n.jsonl", [f"{GRAVE} {i} [[401]]" for i in range(40)]), tmp_path / "out"
    with StubServer() as server:
        with pytest.raises(AccessError, match="8 notes failed in a row.*HTTP 401"):
            ask(path, out, server.url, shard=4, server={"give_up": 8})
        assert server.asked.total() < 20
    assert len(rows(out, "model")) <= 9, "what is finished stays, with its reasons"


def test_a_model_that_writes_nothing_readable_ends_the_run(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} {i} [[malformed]]" for i in range(40)])
    with StubServer() as server, pytest.raises(AccessError, match="8 notes failed.*unreadable: not JSON"):
        ask(path, tmp_path / "out", server.url, structured=False, server={"give_up": 8})


def test_a_note_that_a_proxy_never_serves_is_a_dead_letter_while_others_are_answered(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} [[503]]", *(f"{GRAVE} {i}" for i in range(60))])
    with StubServer(delay=0.03) as server:
        one = ask(path, tmp_path / "out", server.url, two_passes=False, server={"outage": 60.0, "timeout": 5})
    assert one.failed == 1
    assert one.rows == 61
    assert dead(tmp_path / "out", "model") == {"n0": "HTTP 503"}


def test_notes_that_are_too_long_end_no_run(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, *(f"{GRAVE} {i} [[400]]" for i in range(20))])
    with StubServer() as server:
        assert ask(path, tmp_path / "out", server.url, server={"give_up": 8}).failed == 20


def test_a_server_that_refuses_every_note_ends_the_run_with_its_reason(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} {i} [[tells]]" for i in range(40)])
    with StubServer() as server, pytest.raises(AccessError, match="8 notes failed in a row.*context only 4,096"):
        ask(path, tmp_path / "out", server.url, server={"give_up": 8})


def test_a_strict_server_takes_the_schemas_or_says_why_not_before_a_note_is_sent(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE])
    with StubServer(strict=True) as server:
        assert ask(path, tmp_path / "out", server.url).clean
    with StubServer(refuses=["maxLength"]) as server:
        with pytest.raises(AccessError, match="HTTP 400: maxLength is not supported.*--no-schema"):
            ask(path, tmp_path / "out", server.url)
        assert not server.asked
        assert ask(path, tmp_path / "free", server.url, structured=False).clean


def test_vllm_is_asked_for_the_grammar_of_the_notebooks(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, WELL])
    with StubServer() as server, pytest.raises(AccessError, match="ignores structured_outputs .only vLLM"):
        ask(path, tmp_path / "out", server.url, server={"grammar": True})
    with StubServer(grammars=True) as server:
        assert ask(path, tmp_path / "out", server.url, server={"grammar": True}).clean
        assert {assessment_grammar(GRAVE), assessment_grammar(WELL), assessment_grammar(short=True)} <= {
            *server.grammars
        }
        with pytest.raises(RunError, match="schema differ"):
            ask(path, tmp_path / "out", server.url)


def test_a_reason_that_repeats_the_note_is_not_told(tmp_path):
    path = write(tmp_path / "n.jsonl", [WELL, f"{GRAVE} [[echoes]]"])
    with StubServer() as server:
        ask(path, tmp_path / "out", server.url, two_passes=False)
    assert dead(tmp_path / "out", "model") == {"n1": "HTTP 400"}


def test_an_organ_named_twice_is_one_organ(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} [[repeats]]"])
    with StubServer() as server:
        assert ask(path, tmp_path / "out", server.url, two_passes=False).clean
        assert set(server.asked.values()) == {1}
    assert rows(tmp_path / "out", "model")[0]["model"]["affected_systems"] == ["Hepatic"]


def test_the_rules_read_a_note_that_is_too_long_for_a_model(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE + " Walked the dog." * 2_000, GRAVE])
    with StubServer() as server:
        one = ask(path, tmp_path / "out", server.url)
        assert len(server.asked) == 1
    assert (one.failed, one.alerts) == (1, 2)
    assert "not sent, the limit for a model is 20,000" in dead(tmp_path / "out", "model")["n0"]
    assert rules(path, tmp_path / "out").clean


def test_a_server_that_is_gone_for_good_ends_the_run(tmp_path):
    path, out = write(tmp_path / "n.jsonl", [f"{GRAVE} {i}" for i in range(60)]), tmp_path / "out"

    async def stopped():
        with StubServer(delay=0.05) as first:
            server = Server(first.url, "irae", concurrency=4, tries=4, pause=0.05, outage=1.0)
            asking = asyncio.create_task(ask_model(ScreeningRun(path, out, 4), server, two_passes=False, log=print))
            await asyncio.sleep(0.5)
        await asking

    with pytest.raises(AccessError, match=r"has been gone for \d+ s"):
        asyncio.run(stopped())
    assert 0 < len(rows(out, "model")) < 60
    assert not any("problem" in row for row in rows(out, "model"))


def test_a_proxy_that_says_the_server_is_away_costs_no_try(tmp_path):
    path = write(tmp_path / "n.jsonl", [f"{GRAVE} [[503 6]]"])
    with StubServer() as server:
        assert ask(path, tmp_path / "out", server.url, two_passes=False, server={"outage": 20.0}).clean


@pytest.mark.parametrize("left", [b"", b'{"place": 0, "final": {}}\n{"pla'])
def test_a_shard_that_a_dying_disk_left_is_done_again(tmp_path, left):
    path, out = write(tmp_path / "n.jsonl", [GRAVE] * 6), tmp_path / "out"
    rules(path, out, shard=3)
    whole = rows(out, "rules")
    (out / "rules" / "0000001.jsonl").write_bytes(left)
    assert rules(path, out, shard=3).skipped == 3
    assert rows(out, "rules") == whole


def test_the_manifest_tells_one_adapter_and_one_state_of_the_rules_from_another(tmp_path, monkeypatch):
    path, out, adapter = write(tmp_path / "n.jsonl", [GRAVE]), tmp_path / "out", tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    with StubServer() as server:
        ask(path, out, server.url, adapter=str(adapter))
        (adapter / "adapter_model.safetensors").write_bytes(b"two")
        with pytest.raises(RunError, match="adapter differ"):
            ask(path, out, server.url, adapter=str(adapter))
    real, seen = files.file_sha256, []
    monkeypatch.setattr(files, "file_sha256", lambda path: seen.append(path.name) or real(path))
    rules_hash()
    assert {"reader.py", "gut_liver.py", "floors.py", "schemas.py", "rows.py", "labs.json"} <= set(seen)


def test_a_stage_writes_a_shard_with_its_last_row_and_ignores_rows_that_come_twice(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, "", WELL, GRAVE])
    stage = Stage(ScreeningRun(path, tmp_path / "out", shard=2), "rules", {})
    with stage:
        first, second = map(list, stage.unfinished())
        assert [[note.place for note in notes] for notes in (first, second)] == [[0], [2, 3]], "the bad row has its row"
        for note in (*first, *first, second[0]):
            stage.add(rules_row(note))
    assert [row["place"] for row in rows(tmp_path / "out", "rules")] == [0, 1]
    assert stage.missing() == (1, 1)
    one = stage.summary()
    assert (one.rows, one.bad, one.alerts) == (2, 1, 1)


# --- several machines -----------------------------------------------------------------------------------


def test_parts_fill_one_folder_and_are_the_whole(tmp_path, capsys):
    path, whole, out = write(tmp_path / "n.jsonl", [GRAVE, WELL] * 10 + [""]), tmp_path / "whole", tmp_path / "out"
    with StubServer() as server:
        rules(path, whole, shard=3)
        ask(path, whole, server.url, shard=3)
        for text in ("1/3", "3/3", "2/3"):
            part = ShardPart.read(text)
            mine = rules(path, out, shard=3, part=part)
            assert mine.rows < 21
            assert mine.dead_letters == f"dead_letters_rules_{part.number}of3.jsonl"
            assert ask(path, out, server.url, shard=3, part=part).rows == mine.rows
    for stage in ("rules", "model"):
        a, b = ([{k: v for k, v in r.items() if k != "seconds"} for r in rows(f, stage)] for f in (whole, out))
        assert a == b
        assert [row["place"] for row in b] == list(range(21))
    bad = [line for number in (1, 2, 3) for line in (out / f"dead_letters_rules_{number}of3.jsonl").open()]
    assert [json.loads(line)["place"] for line in bad] == [20]
    assert main([str(path), "--gather", "--out", str(out)]) == 3, "one row is no note"
    assert "model: 21 rows, 21 done before, 20 alerts (10 urgent, 10 soon), 1 bad rows" in capsys.readouterr().out
    assert [json.loads(line)["place"] for line in (out / "dead_letters_model.jsonl").open()] == [20]
    (out / "model" / "0000002.jsonl").unlink()
    (out / "rules" / "0000006.jsonl").unlink()
    assert main([str(path), "--gather", "--out", str(out)]) == 3
    said = capsys.readouterr().out
    assert "rules: 3 of 21 rows are missing" in said
    assert "model: 3 of 21 rows are missing" in said
    assert main([str(path), "--gather", "--out", str(tmp_path / "none")]) == 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(RunError, match="such as 3/8"):
        ShardPart.read(text)


# --- how sure the model was -----------------------------------------------------------------------------


def tokens(text, sure=(), size=3):
    """A reply's `logprobs`, in pieces of a few bytes; those that touch a text in `sure` have its probability."""
    raw, sent = text.encode(), []
    for start in range(0, len(raw), size):
        chance = 1.0
        for what, value in dict(sure).items():
            begins = raw.index(what.encode())
            if start < begins + len(what.encode()) and start + size > begins:
                chance *= value
        piece = raw[start : start + size]
        sent.append({"token": piece.decode(errors="replace"), "bytes": list(piece), "logprob": math.log(chance)})
    return {"content": sent}


@pytest.mark.parametrize("short", [True, False])
def test_probabilities_of_a_server_become_those_of_the_fields(short):
    text = validated_cases()[0].expected.to_json()
    if short:
        text = "{" + text[text.index('"irae_detected"') : text.index(',"actions"')] + "}"
    found = read_confidence(text, tokens(text, size=1), constrained=False)
    assert set(found["confidence"].values()) == {1.0}
    assert found["certainty"] == found["legal_mass"] == 1.0
    unsure = read_confidence(text, tokens(text, {"Grade 2 -": 0.5}, size=7 if short else 1), constrained=True)
    assert unsure["confidence"]["overall_severity"] < 1.0
    assert unsure["certainty"] <= 0.5
    fighting = read_confidence(text, tokens(text, {"urgency": 0.5}, size=1), constrained=False)
    assert fighting["legal_mass"] < 1.0
    assert fighting["confidence"]["urgency"] == 1.0
    if not short:
        assert read_confidence(text, tokens(text, {"CTCAE": 0.5}, size=5), constrained=True)["certainty"] <= 0.5, (
            "the reasoning counts"
        )


def test_an_umlaut_between_two_tokens_is_no_obstacle():
    text = validated_cases()[0].expected.model_copy(update={"reasoning": "Müller, 38 °C"}).to_json()
    assert read_confidence(text, tokens(text, size=1), constrained=True)["certainty"] == 1.0


@pytest.mark.parametrize(
    "sent",
    [None, {}, {"content": None}, {"content": []}, {"content": [{"token": "{"}]}, tokens("another answer")]
    + [{"content": [one]} for one in ("x", ["x"], {"token": "{", "logprob": "nan"}, {"bytes": [300], "logprob": 0})],
)
def test_probabilities_that_are_not_there_or_not_of_this_answer_are_none(sent):
    assert read_confidence(validated_cases()[0].expected.to_json(), sent, constrained=False) == {}


def test_rows_keep_probabilities_where_the_server_sends_them(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE])
    with StubServer(logprobs=True) as server:
        ask(path, tmp_path / "asked", server.url, two_passes=False)
        ask(path, tmp_path / "free", server.url, structured=False)
        ask(path, tmp_path / "not", server.url, two_passes=False, server={"logprobs": False})
    (row,), (free,), (other,) = (rows(tmp_path / out, "model") for out in ("asked", "free", "not"))
    assert set(row["confidence"]) == set(FIELDS)
    assert row["certainty"] < 1
    assert "legal_mass" not in row, "vLLM sends probabilities among what the schema allows"
    assert free["legal_mass"] == pytest.approx(0.9)
    assert "certainty" not in other


# --- the command line -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_command_line_says_what_it_did_and_its_status_tells_of_dead_letters(tmp_path):
    path = write(tmp_path / "n.jsonl", [GRAVE, WELL, f"{GRAVE} [[401]]"])
    command = [sys.executable, "-m", "irae_lib.screening", path, "--out", tmp_path / "out"]
    with StubServer() as server:
        model = ["--server", server.url, "--one-pass", "--timeout", "5"]
        done = subprocess.run([*command, *model], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "rules: 3 rows, 0 done before, 2 alerts (2 urgent), 0 bad rows" in done.stdout
    assert (
        "model: 3 rows, 0 done before, 3 alerts (2 urgent, 1 soon), 0 bad rows, 1 without an answer, see "
        "dead_letters_model" in done.stdout
    )
    assert "Nivolumab" not in done.stdout + done.stderr
    rules_only = subprocess.run([*command], cwd=ROOT, capture_output=True, text=True)
    assert rules_only.returncode == 0
    assert "3 done before" in rules_only.stdout


def test_a_server_is_tried_with_the_validated_cases(capsys):
    known = tuned()
    with StubServer(answers=known) as server:
        assert main(["--try", "--server", server.url]) == 0
    assert "11 of 11 pass, 0 without an answer" in capsys.readouterr().out
    first, second, *_ = known
    with StubServer(answers=known | {first: "{", second: known[first]}) as server:
        assert main(["--try", "--server", server.url, "--tries", "1"]) == 3, "one unreadable, one wrong"
    said = capsys.readouterr()
    assert "9 of 11 pass, 1 without an answer" in said.out
    assert "foreign names" in said.err
    with StubServer(answers=known | {first: "{", second: known[first]}) as server:
        assert main(["--try", "--server", server.url, "--tries", "1", "--passes", "9"]) == 0, "as in its own 03"


def test_command_line_refusals(tmp_path, capsys):
    assert main([str(tmp_path / "absent.jsonl"), "--out", str(tmp_path / "out")]) == 1
    assert "SchemaError: absent.jsonl not found" in capsys.readouterr().err
    for command in (["--try"], [str(tmp_path / "a.jsonl")], ["--out", "x"]):
        with pytest.raises(SystemExit):
            main(command)
    assert main([str(tmp_path / "absent.jsonl"), "--out", str(tmp_path / "out"), "--part", "9/8"]) == 1
