"""Write every generated file: `python -m otel_llm_collector.generate`. A test compares them with what is committed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_collector.deployments.fragment import fragment
from otel_llm_collector.deployments.kubernetes_files import kubernetes_files
from otel_llm_collector.engine_tables.declared import declared_page
from otel_llm_collector.engine_tables.engines_page import engines_page
from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.rule_sources.catalog import rule_files
from otel_llm_collector.rule_sources.scraped import scraped_files

__all__ = ["generate_files"]

_ROOT: Final = Path(__file__).resolve().parent.parent


def generate_files() -> Mapping[str, str]:
    """Return the text of every generated file by its path from the root of the checkout."""
    tables, rules = engine_tables(), rule_files()
    by_hand = (_ROOT / "collector/rules/slo.yaml").read_text("utf-8")
    scraped = scraped_files(tables)
    kubernetes = kubernetes_files(tables, {**rules, "slo": by_hand}, scraped)
    return {
        **{f"collector/config/engines/{table.name}.yaml": fragment(table) for table in tables},
        "docs/engines.md": engines_page(),
        "docs/declared.md": declared_page(),
        **{f"collector/rules/{name}.yaml": text for name, text in rules.items()},
        **{f"collector/rules/scraped/{name}.yaml": text for name, text in scraped.items()},
        **{f"collector/kubernetes/{name}.yaml": text for name, text in kubernetes.items()},
    }


def main() -> int:
    """Write the files; print the paths of those that changed. Return 2 for a table that cannot be used."""
    try:
        files = generate_files()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name, text in files.items():
        path = _ROOT / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
