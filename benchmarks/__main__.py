"""`make bench`: every benchmark, one after the other, each in a process of its own."""

import subprocess
import sys

PARTS = ("receiving", "peers", "marks", "record_many", "decorator", "generate", "sim")


def main() -> int:
    code = 0
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        code |= subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
