"""Grafana's own types of a dashboard, of several versions, and the compiler that checks against them, from npm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.npm_packages import Packages

PACKAGES = Packages("grafana-types", "@grafana/schema", "Grafana's types")


@dataclass(frozen=True, slots=True)
class GrafanaTypes:
    """An installed `node_modules`."""

    node: Path
    modules: Path
    how: str  # "cached" or "installed in N s"

    @property
    def compiler(self) -> list[str]:
        """The command of TypeScript's compiler."""
        return [str(self.node), str(self.modules / "typescript" / "bin" / "tsc")]

    @property
    def schemas(self) -> Mapping[str, Path]:
        """The folder of each version of Grafana's types, newest first."""
        found = {
            str(json.loads((self.modules / name / "package.json").read_text())["version"]): self.modules / name
            for name, asked in PACKAGES.asked.items()
            if PACKAGES.package in (name, asked.removeprefix("npm:").rpartition("@")[0])
        }
        return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[0]), reverse=True))


def find(*, may_install: bool = False) -> GrafanaTypes:
    """What is installed; without `may_install`, what is not there is an error that says how to get it."""
    found = PACKAGES.find(may_install=may_install)
    return GrafanaTypes(found.node, found.modules, found.how)
