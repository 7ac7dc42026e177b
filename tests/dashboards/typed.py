"""A board as TypeScript, so that Grafana's own types say what is wrong with it.

The board is held against `Dashboard`; the options and the field settings of each panel, which `Dashboard` leaves open,
against those of its kind of panel.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.grafana_types import GrafanaTypes

COMPILE_TIMEOUT_S = 120.0
CONFIG = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "preserveSymlinks": True,  # the types import themselves by their package's name
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
    },
    "files": ["boards.ts"],
}
# Documents spell the value of an enumeration; the types want its member's name.
PRELUDE = """import type { Dashboard } from "@grafana/schema";
type Spelt<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Spelt<T[K]> } : T;
type Some<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
"""


def errors(types: GrafanaTypes, schema: Path, boards: Mapping[str, Mapping[str, Any]], folder: Path) -> list[str]:
    """What the compiler says about the boards: the message, and the line of the document it is about."""
    (folder / "node_modules" / "@grafana").mkdir(parents=True)
    (folder / "node_modules" / "@grafana" / "schema").symlink_to(schema)
    (folder / "node_modules" / "tslib").symlink_to(types.modules / "tslib")
    (folder / "tsconfig.json").write_text(json.dumps(CONFIG))
    text = source(schema, boards)
    (folder / "boards.ts").write_text(text)
    done = subprocess.run(
        [*types.compiler, "--pretty", "false"],
        cwd=folder, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False,
    )  # fmt: skip
    lines = text.splitlines()
    return [_with_its_line(said, lines) for said in done.stdout.splitlines() if said and not said.startswith(" ")]


def source(schema: Path, boards: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole of what is compiled."""
    kinds = sorted({panel["type"] for board in boards.values() for panel in panels(board)} - {"row"})
    found = {kind: file for kind in kinds if (file := _types_of(schema, kind))}
    imports = [
        f'import type * as {_name(kind)} from "./node_modules/@grafana/schema/{file.relative_to(schema).as_posix()}";'
        for kind, file in found.items()
    ]
    declared = [line for board in boards.values() for line in _declarations(board, found)]
    return "\n".join((*imports, PRELUDE, *declared, ""))


def panels(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every panel, also of rows that are folded."""
    for panel in board.get("panels", ()):
        yield panel
        yield from panel.get("panels", ())


def _declarations(board: Mapping[str, Any], kinds: Mapping[str, Path]) -> Iterator[str]:
    yield f"({json.dumps(board, indent=1)}) satisfies Spelt<Dashboard>;"
    for panel in panels(board):
        if file := kinds.get(panel["type"]):
            declared = file.read_text()
            custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
            for name, value in (("Options", panel.get("options")), ("FieldConfig", custom)):
                if value and f"interface {name} " in declared:
                    yield f"({json.dumps(value, indent=1)}) satisfies Some<{_name(panel['type'])}.{name}>;"


def _types_of(schema: Path, kind: str) -> Path | None:
    """The declarations of one kind of panel; where they lie differs from version to version."""
    pattern = f"dist/**/raw/composable/{kind.replace('-', '')}/panelcfg/x/*.d.ts"
    return next(iter(sorted(schema.glob(pattern), reverse=True)), None)


def _name(kind: str) -> str:
    return "panel_" + kind.replace("-", "_")


def _with_its_line(said: str, lines: Sequence[str]) -> str:
    where, _, message = said.partition(": ")
    number = where.partition("(")[2].partition(",")[0]
    return f"{message}   at {number}: {lines[int(number) - 1].strip()[:120]}" if number.isdigit() else said
