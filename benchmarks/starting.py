"""What a program pays before its first call: `import otel_llm`, `instrument()`, and a library that is then imported.

    python -m benchmarks.starting          # a table in Markdown; CPU time, each in a process of its own

The ways take turns, and of each the least of all rounds counts, with the median beside it: what other processes do to
a shared machine only ever adds. A row of a library that is not installed is left out.
"""

import subprocess
import sys
from importlib.util import find_spec
from statistics import median

ROUNDS = 15
OURS = "import otel_llm; "
WAYS = {  # what it is: (what goes before, what is measured)
    "`import otel_llm`": ("", "import otel_llm"),
    "`instrument()`, nothing imported": (OURS, "otel_llm.instrument()"),
    "`instrument()`, another package imported": (OURS + "import opentelemetry.trace", "otel_llm.instrument()"),
    "`@metrics`, the first of a process": (OURS, "otel_llm.metrics(str)"),
    "`import openai`": ("", "import openai"),
    "`import openai`, instrumented": (OURS + "otel_llm.instrument()", "import openai"),
    "`instrument()`, openai imported": (OURS + "import openai", "otel_llm.instrument()"),
}


def cpu_s(before: str, measured: str) -> float:
    """Return the CPU seconds that `measured` takes in a new process."""
    lines = ("import time", before, "start = time.process_time()", measured, "print(time.process_time() - start)")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    ways = {name: way for name, way in WAYS.items() if "openai" not in name or find_spec("openai")}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            took[name].append(cpu_s(*way))
    print("| | CPU ms, least | median |\n|---|---|---|")
    for name, seconds in took.items():
        print(f"| {name} | {min(seconds) * 1e3:.1f} | {median(seconds) * 1e3:.1f} |")


if __name__ == "__main__":
    main()
