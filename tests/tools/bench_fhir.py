"""Read 1,000 made FHIR bundles, compare every value, unit, time and exposure with what was put in, and time it.

    python tests/tools/bench_fhir.py [--bundles 1000]

Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from fhir_bundles import write_bundles  # noqa: E402
from fhir_compare import differences, values_read_back  # noqa: E402

from irae_lib.screening.fhir import read_fhir  # noqa: E402


def main() -> int:
    """Run the comparison; prints counts, seconds of CPU and bundles per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export"
        expected = write_bundles(export, range(options.bundles))
        size = sum(file.stat().st_size for file in export.iterdir()) / 1e6
        begun, cpu = time.perf_counter(), time.process_time()
        rows = list(read_fhir(export))
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lost = [row for row in rows if isinstance(row, str)]
    cases = [row for row in rows if isinstance(row, dict)]
    print(f"{options.bundles} bundles, {size:.1f} MB: {len(cases)} cases, {len(lost)} dead letters")
    print(
        f"read in {wall:.1f} s, {cpu:.1f} s of CPU: {options.bundles / cpu:.0f} bundles/s; peak memory {memory:.0f} MB"
    )
    wrong = differences(cases, expected)
    values, faults = values_read_back(cases, expected)
    print(f"{len(expected)} cases put in: {len(wrong)} differ in a line, time, document or exposure")
    print(f"{values} values read back by the safety layer: {len(faults)} differ in value, unit, range, flag or day")
    for fault in (*lost, *wrong, *faults)[:20]:
        print(f"  {fault}")
    return 1 if lost or wrong or faults else 0


if __name__ == "__main__":
    sys.exit(main())
