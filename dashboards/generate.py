"""Write the boards: `python -m otel_llm_dashboards.generate`. `--check` only names those that differ, and exits 1."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from otel_llm_dashboards.boards import engines, load_runs, overview, pipeline, slo

__all__ = ["BOARDS", "generate_boards"]

BOARDS: Final = (overview, engines, load_runs, slo, pipeline)
_FOLDER: Final = Path(__file__).resolve().parent / "grafana"


def generate_boards() -> Mapping[str, str]:
    """Return the text of each board by its file name."""
    boards = [module.board() for module in BOARDS]
    return {f"{board.name}.json": board.json() for board in boards}


def main(words: Sequence[str]) -> int:
    """Write the boards, or compare them; print the names of those that differ. Return 2 on bad usage."""
    if set(words) - {"--check"}:
        sys.stderr.write("expected --check or nothing; next step: python -m otel_llm_dashboards.generate\n")
        return 2
    texts = generate_boards()
    there = {path.name: path.read_text("utf-8") for path in _FOLDER.glob("*.json")}
    differ = [name for name, text in texts.items() if there.get(name) != text]
    if not words:
        for name in differ:
            (_FOLDER / name).write_text(texts[name], "utf-8")
    sys.stdout.writelines(f"dashboards/grafana/{name}\n" for name in differ)
    return 1 if words and differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
