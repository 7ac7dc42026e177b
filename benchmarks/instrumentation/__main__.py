"""What each OpenTelemetry instrumentation of the `openai` client says, and what it costs: `make bench-instrumentation`.

    python -m benchmarks.instrumentation [behaviour] [first] [cost] [--rounds 25]

Each library has an environment of its own, from `requirements/compare-*.lock`, kept in `$XDG_CACHE_HOME/otel_llm`. The
same probe runs in each: same client, same SDK, exporters in memory, content of messages off. Servers are on loopback
or in memory, and nothing else is asked for anything once the environments are there.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.instrumentation import table
from benchmarks.instrumentation.added import Round, added, call_of
from benchmarks.instrumentation.environments import ROOT, python_of
from benchmarks.instrumentation.probe.libraries import PACKAGES
from otel_llm.sim import SimProcess
from tools.errors import ToolsError

PARTS = ("behaviour", "first", "cost")
WAYS = ("client sync", "client async", "parsed sync", "parsed async")
_OURS, _RIVAL = "otel_llm", "genai"
_TIMES, _OF_RIVAL = 20, 0.5
"""What is to be reached: per chunk so many times less than the rival adds, and of what it adds per call this part."""
_PROCESSES = 5
_PROBE_S = 300


def _command(python: Path, library: str, *words: str) -> list[str]:
    return [str(python), "-m", "benchmarks.instrumentation.probe", library, *words]


def _environment() -> dict[str, str]:
    """Return ours, without what would switch something on or off in a library."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OPENLIT_"))}
    return mine | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "none"}


def _ask(python: Path, library: str, part: str, url: str) -> dict[str, Any]:
    done = subprocess.run(
        _command(python, library, part, url),
        cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False, timeout=_PROBE_S,
    )  # fmt: skip
    if done.returncode:
        raise ToolsError(f"the probe of {library} to answer", done.stderr.strip()[-600:], "run it by hand")
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def behaviour(pythons: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return each library's answers."""
    found = {}
    with SimProcess(log=True) as sim:
        for library, python in pythons.items():
            if library == "bare":
                continue
            answers = _ask(python, library, "quiet", sim.url)
            answers["traceparent"] = any(row["traceparent"] for row in sim.log())
            answers |= _ask(python, library, "as-it-comes", sim.url)
            found[library] = answers | {"usage_spans": _ask(python, library, "double", sim.url)}
            sim.reset()
            print(f"{library}: answered", file=sys.stderr, flush=True)
    return found


def first(pythons: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """Return what each library said of the first calls of so many processes, which take turns."""
    found: dict[str, list[dict[str, Any]]] = {library: [] for library in pythons}
    with SimProcess() as sim:
        for number in range(_PROCESSES):
            for library, python in pythons.items():
                found[library].append(_ask(python, library, "first", sim.url))
            print(f"process {number + 1} of {_PROCESSES}", file=sys.stderr, flush=True)
    return found


def cost(pythons: Mapping[str, Path], rounds: int) -> dict[str, list[Round]]:
    """Return the rounds of each library: all are alive at the same time, and take turns round by round."""
    probes = {
        library: subprocess.Popen(
            _command(python, library, "cost"),
            cwd=ROOT, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for library, python in pythons.items()
    }  # fmt: skip
    took: dict[str, list[Round]] = {library: [] for library in probes}
    try:
        for number in range(rounds):
            for library, probe in probes.items():
                assert probe.stdin is not None
                assert probe.stdout is not None
                probe.stdin.write("\n")
                probe.stdin.flush()
                line = probe.stdout.readline()
                if not line:
                    raise ToolsError(f"the probe of {library} to measure", "its end", "run it by hand")
                took[library].append(json.loads(line))
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    finally:
        for probe in probes.values():
            probe.communicate()  # closes its standard input, which ends it
    return took


def versions(pythons: Mapping[str, Path]) -> str:
    """Return a table of what is installed where."""
    lines = [["", "package", "openai", "anthropic", "opentelemetry-sdk"]]
    for library, python in pythons.items():
        wanted = (PACKAGES[library], "openai", "anthropic", "opentelemetry-sdk")
        source = f"from importlib.metadata import version; print(*map(version, {wanted}))"
        said = subprocess.run([python, "-c", source], capture_output=True, text=True, check=True).stdout.split()
        lines.append([library, f"{wanted[0]} {said[0]}", *said[1:]])
    return table.rows(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=25, help="of the cost (%(default)s)")
    args = parser.parse_args()
    parts = args.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        expected = " or ".join(PARTS)
        parser.error(f"expected {expected}, got {', '.join(sorted(unknown))}; next step: name one of these")
    try:
        return _run(parts, args.rounds)
    except ToolsError as error:
        print(error, file=sys.stderr)
        return 1


def _run(parts: list[str], rounds: int) -> int:
    pythons = {library: python_of(library) for library in PACKAGES}
    machine = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {platform.system()}"
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"{today}, {machine}, Python {platform.python_version()}\n\n{versions(pythons)}\n", flush=True)
    if "behaviour" in parts:
        print(table.behaviour(behaviour(pythons)), end="\n\n", flush=True)
    if "first" in parts:
        print(table.first(first(pythons)), end="\n\n", flush=True)
    return _judged(cost(pythons, rounds)) if "cost" in parts else 0


def _judged(took: Mapping[str, list[Round]]) -> int:
    """Print what each library adds; return 1 where ours adds more than it is to."""
    found = {library: {way: added(rounds, way) for way in WAYS} for library, rounds in took.items()}
    calls = {library: [call_of(each, WAYS[0]) for each in rounds] for library, rounds in took.items()}
    print(table.cost(found), table.calls(calls, _RIVAL), sep="\n\n", end="\n\n")
    bare = found["bare"]
    print("the bare client: " + ", ".join(f"{way} {bare[way].bare_us:.2f} µs a chunk" for way in WAYS))
    ratios = {way: found[_RIVAL][way].chunk_us / found[_OURS][way].chunk_us for way in WAYS}
    print(f"{_OURS} adds this many times less than {_RIVAL}: " + ", ".join(f"{w} {r:.0f}" for w, r in ratios.items()))
    of_rival = median(table.shares(calls[_OURS], calls[_RIVAL]))
    return int(min(ratios.values()) < _TIMES or of_rival > _OF_RIVAL)


if __name__ == "__main__":
    sys.exit(main())
