"""The command `otel-llm` and its subcommands. A subcommand's module is imported only when it is called."""

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Final

from otel_llm.signs import write_plainly

__all__ = ["main", "parsers"]

_COMMANDS: Final = {
    "perf": ("otel_llm.load.commands.perf", "load an endpoint and measure every token"),
    "sweep": ("otel_llm.load.commands.sweep", "load an endpoint at many rates or concurrencies: one table"),
    "find": ("otel_llm.load.commands.find", "find the highest load at which an SLO holds, and how sure that is"),
    "report": ("otel_llm.load.commands.report", "print the report of a run file, including an interrupted run"),
    "view": ("otel_llm.view.command", "a page of what comes in by OTLP, live, or of a run file"),
    "merge": ("otel_llm.load.commands.merge", "run files of shards, made on several machines, become that of one run"),
    "kubernetes": (
        "otel_llm.load.commands.kubernetes",
        "the manifest of a load run that pods share, of an Indexed Job",
    ),
    "compare": ("otel_llm.load.commands.compare", "what differs between runs, and how sure that is"),
    "demo": ("otel_llm.demo", "simulated model, load, OTLP and the percentiles read back: nothing to set up"),
    "sim": ("otel_llm.sim.cli", "a simulated model server with a known schedule"),
    "collector": (
        "otel_llm.kit",
        "write the Collector's configuration, rules and deployments; bucket profiles",
    ),
    "dashboards": ("otel_llm_dashboards.cli", "write the Grafana dashboards, also as a mixin or for the operator"),
    "incident": (
        "otel_llm_collector.incident.cli",
        "what is wrong now, asked of Prometheus: which model and replica, queue, prefill or decode, since when",
    ),
    "run": ("otel_llm.run.command", "run a program as it is, and show each model call as it ends"),
    "plugins": ("otel_llm.plugins", "list the installed protocols, datasets and adapters"),
    "completion": ("otel_llm.completion", "print a script that completes commands and options in your shell"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code.

    0: done; 1: it failed; 2: bad usage; 3: the client was the limit, under --strict; 130: interrupted
    """
    for stream in (sys.stdout, sys.stderr):
        write_plainly(stream)
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_usage())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"otel-llm {version('otel-llm')}\n")
        return 0
    if words[0] not in _COMMANDS:
        sys.stderr.write(f"otel-llm: expected one of {', '.join(_COMMANDS)}, got {words[0]!r}; see otel-llm --help\n")
        return 2
    return _run(words[0], words[1:])


def _run(command: str, words: Sequence[str]) -> int:
    from otel_llm.errors import ConfigError, OtelLLMError, PluginError

    gc.set_threshold(50_000, 50, 50)  # what a command loads and makes is hardly ever cyclic, and there is much of it
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else numpy starts a thread for each core, which spins a while
    module, parser = _parser(command)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(parser.describe_unknown(unknown))
    if command == "completion":
        args.parsers = parsers()
    try:
        code: int = module.run(args)
    except OtelLLMError as error:
        sys.stderr.write(f"otel-llm {command}: {error}\n")
        return 2 if isinstance(error, ConfigError | PluginError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output has gone: there is nobody left to tell
        sys.stderr.close()
        return 0
    return code


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command, by its name: for the reference pages and for shell completion."""
    return {command: _parser(command)[1] for command in _COMMANDS}


def _parser(command: str) -> tuple[ModuleType, "_Parser"]:
    """Return the module of a command, and what reads its words."""
    where, about = _COMMANDS[command]
    module = import_module(where)
    parser = _Parser(prog=f"otel-llm {command}", description=about, allow_abbrev=False)
    module.add_arguments(parser)
    parser.other_names = getattr(module, "OTHER_NAMES", {})
    return module, parser


class _Parser(argparse.ArgumentParser):
    """Reports bad usage in one line and exits with code 2.

    other_names: what the command calls options that users may know under the names of other tools
    """

    other_names: Mapping[str, str]

    def describe_unknown(self, words: Sequence[str]) -> str:
        """Return which options there are not, and which may be meant; never a value, which may be a key."""
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not options:
            return "a word that belongs to no option; quote what has spaces in it"
        meant = list(dict.fromkeys(filter(None, map(self._meant, options))))
        guess = f"; did you mean {' and '.join(meant)}?" if meant else ""
        return f"unrecognized arguments: {' '.join(options)}{guess}"

    def _meant(self, option: str) -> str | None:
        name = option.lstrip("-").replace("_", "-").lower()
        known = [flag for action in self._actions for flag in action.option_strings]
        near = f"--{name}" if f"--{name}" in known else self.other_names.get(name)
        return near or next(iter(get_close_matches(option, known, 1, 0.75)), None)

    def error(self, message: str) -> "None":  # type: ignore[override]  # it ends the process all the same
        sys.stderr.write(f"{self.prog}: {message}; see {self.prog} --help\n")
        raise SystemExit(2)


def _usage() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, (_, about) in _COMMANDS.items()]
    return "\n".join(
        (
            "usage: otel-llm COMMAND [OPTIONS]",
            "",
            "How fast are the first token and every token after it, really?",
            "",
            *lines,
            "",
            "`otel-llm COMMAND --help` lists the options of one.",
            "",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
