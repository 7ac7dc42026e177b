"""A report as one file of HTML: style, script and data are in it, and it asks nothing of any network.

Whatever a server or a user wrote is text: the template escapes it, the data stand in a block that is no script, and the
page's policy runs no script but its own two, by their hashes.
"""

import base64
import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.garbage import rare_collections
from otel_llm.load.show.result_file import check_writable, write_result_file
from otel_llm.visible import visible

if TYPE_CHECKING:
    from otel_llm.load.report.drawing import Chart

__all__ = ["Card", "Group", "render", "write_page"]


class Card(NamedTuple):
    """A figure that stands out."""

    label: str
    value: str
    unit: str
    note: str | None = None


class Group(NamedTuple):
    """A section of charts, whose `group` is its name."""

    name: str
    title: str
    about: str


def render(template: str, draw: "Callable[[], Iterable[Chart]]", groups: Sequence[Group], **shown: Any) -> str:
    """Return a page. Raises ConfigError where the extra `report` is not installed.

    template: its name, without .html; draw: makes its charts; shown: what else the template has a place for
    """
    try:
        from bokeh.resources import Resources
        from jinja2 import Environment, FunctionLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise ConfigError("the extra `report` for HTML", str(error), "pip install 'otel-llm[report]'") from error

    def text(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    charts = list(draw())
    # only text that is ours, or a library's, is marked as safe
    style, script = (Markup(_file(name)) for name in ("page.css", "page.js"))  # noqa: S704
    scripts = [Markup(each) for each in (*Resources(mode="inline").js_raw[:1], script)]  # noqa: S704
    pages = Environment(autoescape=True, undefined=StrictUndefined, finalize=text, loader=FunctionLoader(_file))
    return pages.get_template(f"{template}.html").render(
        policy=_policy(scripts),
        style=style,
        scripts=scripts,
        groups=groups,
        charts={group.name: [chart for chart in charts if chart.group == group.name] for group in groups},
        items=Markup(_json([chart.item for chart in charts])),  # noqa: S704  # without any <
        **shown,
    )


def write_page(to: Path, page: Callable[[], str]) -> None:
    """Write a page, and say where it is. Raises ConfigError when it cannot be made or written."""
    check_writable(to, "--html", "HTML")
    with rare_collections():
        made = page().encode()
    write_result_file(to, made, "--html", "HTML")
    sys.stdout.write(f"report  {to}  {len(made) / 1e6:.1f} MB\n")


def _file(name: str) -> str:
    return files("otel_llm.load.report").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: list[Any]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: Any) -> str:
    """Return JSON that cannot end the block it stands in."""
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")
