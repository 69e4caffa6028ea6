"""Score reader and safety layer on a file of outside cases, per rule and per organ, with every miss listed.

    python tests/tools/run_devcases.py --cases cases.jsonl

The format is described beside the shared development cases: `expected` holds must_extract, must_not_flag, minimum
and maximum grade and urgency, accepted sets. Rows whose own expectation contradicts CTCAE are left out of the rates.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from irae_lib import Case, review  # noqa: E402
from irae_lib.safety.lexicon import meanings  # noqa: E402
from irae_lib.safety.tokens import normalise  # noqa: E402
from irae_lib.schemas import Urgency  # noqa: E402

# The files' controlled vocabulary, where it differs from the project's names.
ALIASES = {
    "loose_stools_per_day": "stools",
    "stools_now": "stools",
    "stools_above_baseline": "stools_over_baseline",
    "baseline_stools_per_day": "stools_baseline",
    "severe_abdominal_pain": "abdominal_pain",
    "free_air": "perforation",
    "septic_shock": "shock",
    "mucosal_involvement": "mucosal",
    "intubated": "intubated",
    "oxygen_requirement": "oxygen",
    "altered_mental_status": "confusion",
    "gait_instability": "cerebellar_signs",
    "nystagmus": "cerebellar_signs",
    "leg_weakness": "weakness",
    "pr_prolongation": "ecg_change",
    "ecg_abnormal": "ecg_change",
    "cmr_late_enhancement": "cardiac_mri",
    "itch": "pruritus",
    "csf_pleocytosis": "csf_abnormal",
    "csf_protein_elevated": "csf_abnormal",
    "demyelination_biopsy": "demyelination",
    "blurred_vision": "visual_symptom",
    "visual_changes": "visual_symptom",
    "disc_edema": "posterior_uveitis",
    "vitreous_cells": "posterior_uveitis",
    "anterior_chamber_cells": "uveitis",
    "bilateral_infiltrates": "infiltrates",
    "consolidation": "infiltrates",
    "tuberculosis_confirmed": "infection",
    "pneumocystis_positive": "infection",
    "gastritis_biopsy": "gastritis",
    "cholangitis_mrcp": "cholangitis",
    "new_onset_diabetes": "new_diabetes",
    "type1_diabetes_irae": "new_diabetes",
    "knee_arthritis_bilateral": "arthritis",
    "pericardial_effusion": "pericardial_effusion",
    "tma": "ttp",
    "guarding": "peritonitis",
    "myasthenia_gravis": "myasthenia",
    "bleeding": "bleeding",
    "bruising": "bleeding",
    "encephalitis": "encephalitis",
    "ascites": "ascites",
    "home_oxygen": "home_oxygen",
    "immobile": "immobile",
    "sodium": "sodium",
    "na": "sodium",
    "hb": "hemoglobin",
    "ef_reduced": "ef",
    "rash_bsa": "bsa",
    "blister_bsa": "bsa",
    "pmr": "rheumatic_background",
    "rheumatoid_arthritis": "rheumatic_background",
    "biliary_stone": "biliary_obstruction",
    "bile_duct_dilation": "biliary_obstruction",
    "copd": "copd",
    "vision_loss": "visual_loss",
    "troponin_elevated": "troponin",
    "cortisol_undetectable": "cortisol",
    "breathlessness": "dyspnea",
    "shortness_of_breath": "dyspnea",
    "loose_stools": "diarrhea",
    "tachypnea": "rr",
}


def canonical(name: str) -> str:
    """The project's name for a lab, sign or finding as the file calls it."""
    plain = re.sub(r"\(.*?\)", "", name).strip().lower()
    if plain in ALIASES:
        return ALIASES[plain]
    for spelling in (plain, plain.replace("_", " ")):
        for meaning in meanings().get(spelling.replace("-", " "), ()):
            if meaning.kind in ("lab", "vital", "finding", "ici", "drug"):
                return meaning.names[0]
    return plain


def number(text: str) -> Decimal | None:
    match = re.search(r"\d+(?:[.,]\d+)?", text)
    try:
        return Decimal(match.group().replace(",", ".")) if match else None
    except InvalidOperation:
        return None


def is_extracted(item: str, result) -> bool:
    kind, _, rest = item.partition(":")
    name, sign, value = rest.partition("=") if "=" in rest else rest.partition("~")
    wanted, key = number(value) if sign else None, canonical(name)
    findings = result.findings
    if kind == "ici":
        classes = {"pd-1", "class", "pd-l1", "ctla-4", "any"}
        key = "checkpoint inhibitor" if name.lower() in classes else key
        return any(f.kind == "ici" and f.name == key for f in findings)
    if kind == "drug":
        return any(f.kind == "drug" and normalise(name) in normalise(f.name) for f in findings)
    if kind == "xuln":
        ends = [Decimal(n) for n in re.findall(r"\d+(?:\.\d+)?", value)]
        low, high = min(ends) * Decimal("0.94"), max(ends) * Decimal("1.06")
        return any(f.name.startswith(key) and f.times_uln is not None and low <= f.times_uln <= high for f in findings)
    if kind == "conv":
        return any(same(f, key, wanted, Decimal("0.03"), standard=True) for f in findings)
    if kind in ("lab", "vital"):
        return any(same(f, key, wanted, Decimal("0.001")) for f in findings if f.status == "current")
    if kind == "hist":
        key = canonical(name.removeprefix("family_"))
        past = ("historical", "family", "hypothetical", "negated")
        return any(
            f.name == key
            and (f.status in past or f.kind == "background")
            and (wanted is None or same(f, key, wanted, Decimal("0.001")))
            for f in findings
        )
    if name.endswith("_grade_reported"):
        key = canonical(name.removesuffix("_grade_reported"))
        return any(f.kind == "grade" and f.name == key and number(f.value) == wanted for f in findings)
    values = [f for f in findings if f.name == key and f.status in ("current", "historical")]
    if wanted is None or not values:
        return bool(values)
    return any(wanted in (f.low, f.high, number(f.value)) for f in values) or all(f.low is None for f in values)


def same(f, key: str, wanted: Decimal | None, tolerance: Decimal, standard: bool = False) -> bool:
    if (
        f.name != key
        and not (key == "troponin" and f.name.startswith("troponin"))
        and not (key in ("sbp",) and f.name == "bp")
    ):
        return False
    if wanted is None:
        return True
    numbers = [f.low, f.high] if standard else [f.low, f.high, number(f.value)]
    return any(
        n is not None and abs(n - wanted) <= tolerance * max(wanted, Decimal("0.01")) + Decimal("0.0001")
        for n in numbers
    )


def is_flagged(item: str, result) -> bool | None:
    """Did the layer do what `item` forbids? None for what is no claim of this layer (likelihoods)."""
    kind, _, rest = item.partition(":")
    final = result.final
    if kind == "likelihood" or "lowered" in rest:
        return None
    if kind == "floor":
        level = final.overall_severity.level
        if rest == "grade":
            return level > 0
        if rest == "urgency":
            return final.urgency > Urgency.ROUTINE
        field, _, bound = rest.partition(">=")
        return level >= int(bound) if field == "grade" else final.urgency >= Urgency(bound)
    if kind == "system":
        if re.search(r"[(>]", rest):
            return None  # "(current)", "(immune)", ">=2": finer than the answer's fields
        return rest in [s.value for s in final.affected_systems]
    if kind == "ici":
        return any(f.kind == "ici" and f.status in ("current", "historical") for f in result.findings)
    name, sign, value = rest.partition("=")
    if "(" in rest and sign == "":
        return None
    key, wanted = canonical(name), number(value)
    status = "historical" if kind == "hist" else "current"
    current = [f for f in result.findings if f.name == key and f.status == status and f.kind != "grade"]
    if sign:
        return any(same(f, key, wanted, Decimal("0.001")) for f in current if f.kind in ("lab", "vital"))
    return (
        any(f.kind not in ("lab", "vital") or f.flag == "high" for f in current) if kind == "finding" else bool(current)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", required=True, type=Path, help="JSON-lines file of outside cases")
    path = parser.parse_args().cases
    rates: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    misses, fired, organs = [], Counter(), defaultdict(lambda: [0, 0])

    def count(name: str, ok: bool, row: dict, why: str) -> None:
        rates[name][0] += ok
        rates[name][1] += 1
        if not ok:
            misses.append(f"{name:<20} {row['id']:<14} {why}")

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    started = time.perf_counter()
    for row in rows:
        expected = row["expected"]
        result = review(Case(text=row["text"]), exposed=row.get("exposed"))
        final, grade = result.final, result.final.overall_severity.level
        fired.update({c.rule for c in result.corrections})
        for item in expected.get("must_extract") or []:
            kind = item.partition(":")[0]
            group = (
                "extracted_values" if kind in ("lab", "ici", "drug", "xuln", "conv", "vital") else "extracted_findings"
            )
            count(group, is_extracted(item, result), row, item)
        for item in expected.get("must_not_flag") or []:
            if (flagged := is_flagged(item, result)) is not None:
                count("maxima" if ">=" in item else "forbidden", not flagged, row, item)
        if (row.get("ctcae_check") or {}).get("agrees") is False:
            continue
        if level := expected.get("min_grade"):
            count("min_grade", grade >= level, row, f"grade {grade}, at least {level} expected")
        if urgency := expected.get("min_urgency"):
            count(
                "min_urgency",
                final.urgency >= Urgency(urgency),
                row,
                f"{final.urgency.value}, at least {urgency} expected",
            )
        if level := expected.get("max_grade"):
            count("maxima", grade <= level, row, f"grade {grade}, at most {level} expected")
        accepted = set(expected.get("grade_in") or []) | ({expected["grade"]} if expected.get("grade") else set())
        if accepted:
            count("grade_accepted", grade in accepted, row, f"grade {grade}, accepted {sorted(accepted)}")
        found = {s.value for s in final.affected_systems}
        for system in expected.get("systems") or []:
            organs[system][0] += system in found
            organs[system][1] += 1
            count("systems", system in found, row, f"{system} not in {sorted(found)}")
    seconds = time.perf_counter() - started
    print("misses:", *(misses or ["none"]), sep="\n  ")
    print("\nrules that corrected something (cases):", ", ".join(f"{rule} {n}" for rule, n in fired.most_common()))
    print("\norgans found of those expected:")
    for organ, (ok, n) in sorted(organs.items()):
        print(f"  {organ:<18} {ok}/{n}")
    print("\nrates:")
    for name, (ok, n) in rates.items():
        print(f"  {name:<20} {ok}/{n} = {ok / n:.3f}")
    share = {name: round(ok / n, 4) for name, (ok, n) in rates.items()}
    both = [rates["extracted_values"][i] + rates["extracted_findings"][i] for i in (0, 1)]
    share["extracted"] = round(both[0] / both[1], 4) if both[1] else None
    print(json.dumps({"n": len(rows), "seconds": round(seconds, 2)} | share))
    return 0


if __name__ == "__main__":
    sys.exit(main())
