"""What each OpenTelemetry instrumentation of the `openai` client says, and what it costs: `make bench-instrumentation`.

    python -m benchmarks.instrumentation [behaviour] [cost] [--rounds 25]

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
from typing import Any

from benchmarks.instrumentation import table
from benchmarks.instrumentation.added import Added, added
from benchmarks.instrumentation.environments import ROOT, python_of
from benchmarks.instrumentation.probe.libraries import PACKAGES
from otel_llm.sim import SimProcess
from tools.errors import ToolsError

_WAYS = ("client sync", "client async", "parsed sync", "parsed async")
_OURS, _RIVAL = "otel_llm", "genai"
_TIMES = 20
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
        for library in pythons:
            if library == "bare":
                continue
            answers = _ask(pythons[library], library, "quiet", sim.url)
            answers["traceparent"] = any(row["traceparent"] for row in sim.log())
            sim.reset()
            found[library] = answers | _ask(pythons[library], library, "as-it-comes", sim.url)
            sim.reset()
            print(f"{library}: answered", file=sys.stderr, flush=True)
    return found


def cost(pythons: Mapping[str, Path], rounds: int) -> dict[str, dict[str, Added]]:
    """Return what each library adds: all are alive at the same time, and take turns round by round."""
    probes = {
        library: subprocess.Popen(
            _command(python, library, "cost"),
            cwd=ROOT, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for library, python in pythons.items()
    }  # fmt: skip
    took: dict[str, list[Any]] = {library: [] for library in probes}
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
    return {library: {way: added(each, way) for way in _WAYS} for library, each in took.items()}


def versions(pythons: Mapping[str, Path]) -> str:
    """Return a table of what is installed where."""
    lines = [["", "package", "openai", "opentelemetry-sdk"]]
    for library, python in pythons.items():
        wanted = (PACKAGES[library], "openai", "opentelemetry-sdk")
        source = f"from importlib.metadata import version; print(*map(version, {wanted}))"
        said = subprocess.run([python, "-c", source], capture_output=True, text=True, check=True).stdout.split()
        lines.append([library, f"{wanted[0]} {said[0]}", *said[1:]])
    return table.rows(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="behaviour, cost; both by default")
    parser.add_argument("--rounds", type=int, default=25, help="of the cost (%(default)s)")
    args = parser.parse_args()
    parts = args.parts or ["behaviour", "cost"]
    if unknown := set(parts) - {"behaviour", "cost"}:
        parser.error(f"expected behaviour or cost, got {', '.join(sorted(unknown))}; next step: name one of the two")
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
    if "cost" not in parts:
        return 0
    found = cost(pythons, rounds)
    print(table.cost(found), end="\n\n")
    bare = found["bare"]
    print("the bare client: " + ", ".join(f"{way} {bare[way].bare_us:.2f} µs a chunk" for way in _WAYS))
    ratios = {way: found[_RIVAL][way].chunk_us / found[_OURS][way].chunk_us for way in _WAYS}
    print(f"{_OURS} adds this many times less than {_RIVAL}: " + ", ".join(f"{w} {r:.0f}" for w, r in ratios.items()))
    return int(min(ratios.values()) < _TIMES)


if __name__ == "__main__":
    sys.exit(main())
