"""The page of commands and their options, from the very parsers that read them."""

import argparse
import re
from collections.abc import Iterator

from otel_llm.cli import parsers

__all__ = ["commands_page"]


def commands_page() -> str:
    """Return the reference of every command of `otel-llm`, as Markdown."""
    lines = [
        "# Commands and options",
        "",
        "Made from the parsers of this version. `otel-llm COMMAND --help` prints the same in a terminal.",
        "",
    ]
    for name, parser in parsers().items():
        lines += [f"## otel-llm {name}", "", f"{_sentence(parser.description or '')}", ""]
        for group in parser._action_groups:
            if rows := list(_rows(group, parser.prog)):
                lines += [f"### {_title(group)} {{ #{name}-{_anchor(_title(group))} }}", ""]
                lines += ["| option | what it does |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _rows(group: argparse._ArgumentGroup, program: str) -> Iterator[str]:
    for action in group._group_actions:
        if action.help == argparse.SUPPRESS:
            continue
        about = (action.help or "") % {**vars(action), "prog": program}
        value = _value(action)
        names = ", ".join(f"`{flag}{value}`" for flag in action.option_strings) or f"`{value.strip()}`"
        yield f"| {_cell(names)} | {_cell(about)} |"


def _value(action: argparse.Action) -> str:
    """Return what stands behind an option, empty where nothing does."""
    if action.nargs == 0:
        return ""
    if action.metavar:
        return " " + (action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar))
    if action.choices is not None:
        return " {" + ",".join(map(str, action.choices)) + "}"
    return " " + action.dest.upper()


def _title(group: argparse._ArgumentGroup) -> str:
    title = str(group.title)
    return title[:1].upper() + title[1:]


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
