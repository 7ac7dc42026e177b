"""`otel-llm run`: the command, which gives way to the program."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from otel_llm.errors import ConfigError
from otel_llm.sinks.exporters import ExportTarget, whole

__all__ = ["add_arguments", "run"]

_PRELOAD: Final = Path(__file__).parent / "preload"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm run`."""
    parser.add_argument("--otlp-endpoint", metavar="URL", help="also export to this OTLP receiver, by gRPC or HTTP")
    parser.add_argument("--service-name", metavar="NAME", help="what telemetry calls the program; else its file's name")
    parser.add_argument("-m", action="store_true", dest="module", help="the program is a module, as for python -m")
    parser.add_argument(
        "program", nargs=argparse.REMAINDER, help="a Python file or a command such as uvicorn, and its arguments"
    )


def run(args: argparse.Namespace) -> NoReturn:
    """Become the program. Raises ConfigError where there is none, it cannot be found, or the endpoint is no address."""
    words = args.program[1:] if args.program[:1] == ["--"] else args.program
    if not words:
        raise ConfigError("a program", "none", "such as otel-llm run app.py, or otel-llm run uvicorn app:app")
    command = _command(words, module=args.module)
    named = args.service_name or os.environ.get("OTEL_SERVICE_NAME") or Path(words[0]).stem
    os.environ["OTEL_SERVICE_NAME"] = named
    if args.otlp_endpoint:
        target = ExportTarget(args.otlp_endpoint, None, {})  # raises for what is no address
        endpoint = whole(args.otlp_endpoint, http=target.speaks_http("traces"))
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_PRELOAD), os.environ.get("PYTHONPATH"))))
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  # there is no shell, and is to be none


def _command(words: Sequence[str], *, module: bool) -> list[str]:
    """Return the command line, the first word of it a path."""
    name, *others = words
    if module:
        return [sys.executable, "-m", *words]
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ConfigError("a Python file that exists", name)
        return [sys.executable, *words]
    # what is installed beside this Python is what finds `otel_llm`, whatever else is on PATH
    near = str(Path(sys.executable).parent)
    found = shutil.which(name, path=near) or shutil.which(name)
    if found is None:
        raise ConfigError("a command on PATH, or a Python file", name, "for a module: otel-llm run -m NAME")
    return [found, *others]
