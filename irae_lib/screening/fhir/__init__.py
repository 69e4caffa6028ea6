"""Read FHIR R4 exports as notes: bundles (.json), NDJSON (.ndjson), or a folder of them.

`read_fhir` yields a row for each patient and encounter, or day without one, and a dead letter for everything that
could not be read. `python -m irae_lib.screening.fhir EXPORT` shows what would be read.

The resources are checked by small models of the elements in use. The full classes of `fhir.resources` refuse a whole
bundle for one unknown field, a time without seconds or an empty string, and read 7.10 as 7.1; checking alone takes 24
ms for a bundle of 33 resources, where all of `read_fhir` takes 10 ms. That library checks the tests and the worklist.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cases import cases_of
from .files import LARGEST_BUNDLE, SUFFIXES, Lost, files_of, read_export
from .spool import Spool

__all__ = ["LARGEST_BUNDLE", "SUFFIXES", "files_of", "read_fhir"]


def read_fhir(path: Path, dropped: Counter[str] | None = None) -> Iterator[dict[str, Any] | str]:
    """The cases of an export, patient by patient, then its dead letters.

    A case has `id` ("patient/encounter" or "patient/day"), the sections of a `Case`, `date`, `site`, and `exposed`:
    "yes" if a checkpoint inhibitor was given, taken or ordered by then, else "" (the record may not be complete). A
    dead letter is a sentence: what could not be read, and why.

    Args:
        dropped: counts what was left out on purpose, by reason: entered in error, cancelled, not done, surveys.
            Without it, the counts are logged at the end.

    Raises:
        SchemaError: the folder holds no export.
    """
    counts = Counter() if dropped is None else dropped
    with Spool(read_export(path)) as spool:
        for person in spool.people():
            for case in cases_of(person, spool, counts):
                yield case.sentence if isinstance(case, Lost) else case
        yield from (lost.sentence for lost in spool.lost)
    if dropped is None and counts:
        logging.getLogger(__name__).warning("FHIR: left out on purpose: %s", in_words(counts))


def in_words(dropped: Counter[str]) -> str:
    """Counts by reason: "12 entered-in-error; 3 cancelled"."""
    return "; ".join(f"{count} {reason}" for reason, count in dropped.most_common())
