"""What is left of a load run after a fault: a table of faults, moments and loops, each tried with a real run.

python -m benchmarks.faults [--write] [--only WORDS]

--write puts the table into docs/reliability.md. The exit code is 1 when a cell is not as expected.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.faults.cells import CELLS
from benchmarks.faults.running import run_cell
from benchmarks.faults.table import table, written

_PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
_AT_ONCE: Final = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--only", default="", metavar="WORDS", help="cells whose name holds these words")
    args = parser.parse_args()
    if args.write and args.only:
        parser.error("expected --write with all cells, got --only as well")
    since = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(run_cell, [cell for cell in CELLS if args.only in str(cell)]))
    text = table(outcomes)
    print(text)
    if args.write:
        _PAGE.write_text(written(_PAGE.read_text(), text))
    odd = [outcome for outcome in outcomes if outcome.wrong]
    minutes = (time.monotonic() - since) / 60
    print(f"{len(outcomes) - len(odd)} of {len(outcomes)} cells as expected, {minutes:.1f} minutes", file=sys.stderr)
    for outcome in odd:
        print(f"{outcome.cell}: {', '.join(outcome.wrong)}; {outcome}", file=sys.stderr)
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
