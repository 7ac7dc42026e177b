"""The command line: `python -m tools [path NAME | stack [--data DIR] | wheel | kubernetes | engines [NAME ...]]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import environments, find, grafana_types, stack, wheel
from tools.engines import ENGINES
from tools.errors import ToolsError
from tools.npm_packages import AXE, PYRIGHT
from tools.parts import PROGRAMS


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it worked, 1 when a part is missing or failed, 2 when the command line is wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "path":
            print(find.program(options.name).path)
            return 0
        if options.command == "stack":
            return stack.run(options.data, options.engine)
        if options.command == "wheel":
            print(wheel.llama_cpp())
            return 0
        if options.command == "engines":
            return environments.make_all(ENGINES[name] for name in options.names or ENGINES)
        _build(options.command or "tools")
        if options.command is None:
            _install()
        return 0
    except ToolsError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _build(target: str) -> None:
    """Find or build every program of a make target, one line each, as soon as it is there."""
    for name in (name for name, program in PROGRAMS.items() if program.part.target == target):
        found = find.program(name, may_build=True)
        print(f"{name:<20} {found.version:<8} {found.how:<16} {found.path}", flush=True)


def _install() -> None:
    """Find or install every package of npm."""
    for packages in (grafana_types.PACKAGES, AXE, PYRIGHT):
        installed = packages.find(may_install=True)
        print(f"{packages.name:<20} {packages.version:<8} {installed.how:<16} {installed.modules}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools",
        description="Build or find the real parts the tests run against; without a command, those of `make tools`.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    path = commands.add_parser("path", help="print where a program is, or how to get it")
    path.add_argument("name", choices=PROGRAMS, metavar="NAME", help=", ".join(PROGRAMS))
    commands.add_parser("wheel", help="build or find the wheel of llama-cpp-python, and print where it is")
    commands.add_parser("kubernetes", help="build or find an API server of Kubernetes and its store")
    engines = commands.add_parser("engines", help="install real model servers, each in an environment of the cache")
    engines.add_argument(
        "names", nargs="*", type=_engine, metavar="NAME", help="default: all of them: " + ", ".join(ENGINES)
    )
    run = commands.add_parser("stack", help="run Collector, Prometheus and Jaeger on loopback until Ctrl-C")
    run.add_argument("--data", type=Path, metavar="DIR", help="where they store and log (default: a temporary folder)")
    run.add_argument(
        "--engine", action="append", default=[], metavar="NAME",
        help="also scrape this engine, where its NAME_TARGETS says (may be repeated): " + ", ".join(stack.engines()),
    )  # fmt: skip
    return parser


def _engine(name: str) -> str:
    if name not in ENGINES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(ENGINES)}, got {name!r}")
    return name
