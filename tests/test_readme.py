"""The READMEs: short, and no link, picture or module in them leads nowhere."""

import importlib.util
import re

import pytest

import irae_lib
from irae_lib.evaluation.report import read_report
from irae_lib.files import DATA, ROOT
from irae_lib.reporting.tables import markdown, reports_table
from irae_lib.workspace.address import UNSET

PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "tests" / "README.md"]
PAGES += [ROOT / ".github" / "CONTRIBUTING.md", *sorted((ROOT / "irae_lib").rglob("README.md"))]


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            assert UNSET not in target, target
        elif target.startswith("#"):
            assert re.sub(r"[^\w -]", "", target[1:]), target
        else:
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_name_what_is_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m (irae_lib[\w.]*)", text):
        assert importlib.util.find_spec(name), name
    for path in re.findall(r"python (tests/[\w/]+\.py)", text):
        assert (ROOT / path).is_file(), path


def test_every_notebook_is_in_the_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"](notebooks/{path.name})" in text, path.name


def test_results_are_those_of_the_shipped_reports():
    reports = {name: read_report(DATA / "reports" / f"{name}.json") for name in ("rehearsal", "gemma")}
    compact = re.sub(r" ?\| ?", "|", markdown(reports_table(reports)))
    assert compact in (ROOT / "README.md").read_text(encoding="utf-8")
    gemma, stand_in = reports["gemma"], reports["rehearsal"].results["test"]["full"]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    gained = [f"{x:.2f}" for x in (gemma.outside.difference, *gemma.outside.difference_interval.model_dump().values())]
    assert (
        "Averaged over outside cases, the small Gemma gains {} in fields right (95 % CI {} to {})".format(*gained)
        in text
    )
    test = gemma.comparisons["test"]
    gained = [f"{x:.2f}" for x in (test.difference, *test.difference_interval.model_dump().values())]
    assert "On the test it gains {} ({} to {})".format(*gained) in text
    raw, final = stand_in.raw.triage, stand_in.safety.triage
    assert f"too low in {final.under.hits} of {final.under.n} notes instead of {raw.under.hits}" in text
    alarms = [rate.n - rate.hits for rate in (raw.specificity_mimics, final.specificity_mimics)]
    assert f"alarms on {raw.specificity_mimics.n} mimics rise from {alarms[0]} to {alarms[1]}" in text
    assert f"from {stand_in.raw.field_accuracy:.3f} to {stand_in.safety.field_accuracy:.3f}" in text


def test_the_version_is_in_one_place():
    citation = (ROOT / ".github" / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {irae_lib.__version__}\n" in citation
    changes = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == irae_lib.__version__
