"""`otel-llm completion`: a script for bash, zsh or tcsh that completes commands and options.

The script is made once and needs no Python when a key is pressed. It knows the options of the version that made it.
"""

import argparse
import sys
from typing import Final

from otel_llm.errors import ConfigError

__all__ = ["add_arguments", "run"]

_SHELLS: Final = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `otel-llm completion` takes."""
    parser.add_argument("shell", choices=_SHELLS, help="the shell that is to complete: bash, zsh or tcsh")


def run(args: argparse.Namespace) -> int:
    """Print the script. `args.parsers` has the parser of each command.

    Raises ConfigError where shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise ConfigError("the package shtab", next_step="pip install 'otel-llm[completion]'") from None
    everything = argparse.ArgumentParser(prog="otel-llm")
    commands = everything.add_subparsers(dest="command")
    for name, parser in args.parsers.items():
        about = parser.description
        commands.add_parser(name, parents=[parser], add_help=False, conflict_handler="resolve", help=about)
    sys.stdout.write(shtab.complete(everything, args.shell) + "\n")
    return 0
