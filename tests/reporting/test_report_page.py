"""The report page: complete, self-contained, escaped, and with no number that is not in the report."""

import re

import pytest
from labels import REPORT

from irae_lib import __version__
from irae_lib.reporting.report_page import report_page
from irae_lib.reporting.tables import arm_name, results_table

RULES = (("rules", "raw"), ("rules", "safety"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    figures = tmp_path_factory.mktemp("figures")
    (figures / "flow.png").write_bytes(b"a picture")
    return report_page(REPORT, figures)


def test_every_section_is_there_and_pictures_that_exist(page):
    titles = re.findall("<h2>(.*?)</h2>", page)
    assert len(titles) == 11
    assert titles[0] == "Publication thresholds"
    assert titles[-1] == "TRIPOD-LLM"
    assert page.count("<figure>") == 1
    assert 'alt="Urgency of each case' in page
    assert len(re.findall("<tr><td>", page.split("<h2>TRIPOD-LLM</h2>")[1])) == 19
    assert "{" not in page.split("</style>")[1]


def test_it_loads_nothing_and_says_rehearsal(page):
    assert not re.search(r'(?:src|href)="(?!data:)|<script|@import|url\(', page)
    assert "Rehearsal." in page
    assert "Not a medical device" in page


def test_it_has_date_run_version_and_a_legend(tmp_path):
    page = report_page(REPORT, tmp_path / "20261128-120000" / "figures")
    head = page.split("<h2>")[0]
    assert "Run 20261128-120000, written 20" in head
    assert f"irae_lib {__version__}." in head
    legend = head.split("<summary>Legend</summary>")[1]
    for name in (arm_name(*at) for at in (("base", "raw"), ("full", "raw"), ("eleven", "raw"), *RULES)):
        assert name in legend, name
    for column in results_table(REPORT, "test").columns[2:]:
        assert column in legend or column in ("irAE", "organ", "grade", "urgency", "causality"), column


def test_a_test_file_of_ones_own_is_not_called_held_out(tmp_path):
    page = report_page(REPORT.model_copy(update={"own_test": True}), tmp_path)
    assert "<h2>Your own test file</h2>" in page
    assert "notes of your own the share" in page
    assert "held-out notes" not in page.split("<h2>TRIPOD")[0]


def test_headline_numbers_are_the_reports(page):
    test = REPORT.results["test"]
    for arm, stage in (("base", "raw"), ("full", "raw"), ("full", "safety")):
        assert f"{getattr(test[arm], stage).field_accuracy:.3f}" in page.split("<h2>")[0]


def test_text_of_the_report_is_text_on_the_page(tmp_path):
    page = report_page(
        REPORT.model_copy(update={"base_model": "<img src=x>", "rehearsal": False, "retention": None}), tmp_path
    )
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page
    assert "Rehearsal." not in page
    assert "Not measured in this run" in page
