"""Copy the pages that the site shows, with links that lead to a page of the site, or else to the repository.

A page in the repository may link to any file there. On the site, a link to a file that is no page becomes one to the
repository's host.
"""

import posixpath
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "relinked", "site_pages", "stage"]

ROOT: Final = Path(__file__).parent.parent.parent
_LINK: Final = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_TEXTS: Final = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")
_SHOWN: Final = (".json", ".png", ".svg")
"""What a page shows or offers beside text: a schema, pictures."""


def site_pages() -> dict[str, str]:
    """Return where each file of the repository stands on the site: {path in the repository: path on the site}."""
    docs = {path: path.relative_to(ROOT / "docs") for path in sorted((ROOT / "docs").rglob("*"))}
    pages = {f"docs/{to}": str(to) for path, to in docs.items() if path.suffix in (".md", *_SHOWN)}
    pages |= {f"collector/runbooks/{path.name}": f"runbooks/{path.name}" for path in _runbooks()}
    return pages | {name: name.lower().replace("_", "-") for name in _TEXTS if (ROOT / name).is_file()}


def stage(out: Path, generated: Mapping[str, str]) -> int:
    """Write all pages into `out`, which is emptied before. `generated`: {path on the site: text}. Return how many."""
    shutil.rmtree(out, ignore_errors=True)
    pages = site_pages()
    for source, to in pages.items():
        target = out / to
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            target.write_text(relinked((ROOT / source).read_text("utf-8"), source, pages, _repository()), "utf-8")
        else:
            shutil.copyfile(ROOT / source, target)
    for to, text in {**generated, "runbooks/index.md": _runbook_index()}.items():
        (out / to).parent.mkdir(parents=True, exist_ok=True)
        (out / to).write_text(text, "utf-8")
    return sum(1 for _ in out.rglob("*.md"))


def relinked(text: str, source: str, pages: Mapping[str, str], repository: str) -> str:
    """Return the text of the file `source` with its relative links as they have to be on the site."""

    def link(match: re.Match[str]) -> str:
        before, target, anchor, after = match[1], match[2], match[3] or "", match[4]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in pages:
            to = posixpath.relpath(pages[path], posixpath.dirname(pages[source]) or ".")
        elif target.startswith("reference/"):  # generated: on the site alone
            to = target
        else:
            to = f"{repository}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
        return f"{before}{to}{anchor}{after}"

    return _LINK.sub(link, text)


def _repository() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["urls"]["Source"])


def _runbooks() -> list[Path]:
    return sorted((ROOT / "collector" / "runbooks").glob("*.md"))


def _runbook_index() -> str:
    lines = [f"- [{path.stem}]({path.name})" for path in _runbooks()]
    return "\n".join(["# Runbooks", "", "What each alert means, and what to do.", "", *lines, ""])
