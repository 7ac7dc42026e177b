"""The documentation site: its pages, links and generated reference. `make docs` builds it, and checks it strictly."""

import json
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_llm.cli import main, parsers
from tools.site.command_pages import commands_page
from tools.site.publish import publish
from tools.site.python_pages import python_page
from tools.site.staging import ROOT, relinked, site_pages, stage

PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), *sorted(ROOT.glob("*.md"))]
GENERATED = {"reference/commands.md", "reference/python.md", "runbooks/index.md"}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", text):
        if "://" in target or target in GENERATED:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def test_every_page_is_reached_and_the_navigation_names_no_other() -> None:
    named = set(re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    pages = {to for to in site_pages().values() if to.endswith(".md") and not to.startswith("runbooks/")} | GENERATED
    assert named - pages == set()
    linked = {
        Path(to).name.lower() for page in PAGES for to in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
    }
    lost = {page for page in pages - named if page.replace("-", "_") not in linked}
    assert lost == set(), "next step: give the page its place in the `nav` of mkdocs.yml"


@pytest.mark.parametrize(
    ("link", "on_site"),
    [
        ("[a](measures.md#terms)", "[a](measures.md#terms)"),
        ("[a](../CHANGELOG.md)", "[a](changelog.md)"),
        ("[a](../collector/runbooks/OtelLlmErrors.md)", "[a](runbooks/OtelLlmErrors.md)"),
        ("[a](../examples)", "[a](https://host/x/tree/main/examples)"),
        ("[a](../Makefile)", "[a](https://host/x/blob/main/Makefile)"),
        ("[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        ("[a](#terms)", "[a](#terms)"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_to_the_repository(link: str, on_site: str) -> None:
    assert relinked(link, "docs/index.md", site_pages(), "https://host/x") == on_site


def test_staging_empties_the_folder_and_adds_what_is_generated(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("gone")
    count = stage(tmp_path, {"reference/commands.md": "# Commands\n"})
    assert not (tmp_path / "old.md").exists()
    assert (tmp_path / "reference" / "commands.md").read_text() == "# Commands\n"
    assert count == len(list(tmp_path.rglob("*.md"))) > 30
    assert "../" not in "".join(re.findall(r"\]\((.*?)\)", (tmp_path / "index.md").read_text()))


def test_the_page_of_commands_has_each_command_and_each_option() -> None:
    page = commands_page()
    for name, parser in parsers().items():
        assert f"\n## otel-llm {name}\n" in page
        for flag in parser._option_string_actions:
            assert f"`{flag}" in page or "," in flag
    assert "SUPPRESS" not in page
    assert "%(default)s" not in page


def test_the_page_of_python_has_each_public_name() -> None:
    page = python_page()
    assert "::: otel_llm.metrics\n" in page
    assert "::: otel_llm.load.run\n" in page
    assert "| `TEXT` | " in page


def test_every_variable_that_the_code_reads_is_on_its_page() -> None:
    page = (ROOT / "docs" / "environment.md").read_text("utf-8")
    code = "".join(path.read_text("utf-8") for path in (ROOT / "otel_llm").rglob("*.py"))
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"|"(OTEL_[A-Z_]+)"', code))
    names = {name for pair in read for name in pair if name} - {"PYTHONPATH", "OTEL_EXPORTER_OTLP"}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_the_host_of_the_repository_is_said_once() -> None:
    source = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
    assert f"repo_url: {source}\n" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "sweep" in script
    assert "slo-attainment" in script


def test_a_list_in_a_docstring_is_a_list_on_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "griffe", SimpleNamespace(Extension=object, Object=object))
    from tools.site.docstrings import as_markdown

    docstring = (
        "Run: at once.\n\nWhat they call each\nother: a span.\n\nurl:  where\n      to\nn, m: two\nRaises ConfigError."
    )
    assert as_markdown(docstring) == (
        "Run: at once.\n\nWhat they call each\nother: a span.\n\n- `url`: where\n  to\n- `n, m`: two\n"
        "\nRaises ConfigError."
    )


def test_a_site_is_published_beside_those_of_other_versions(tmp_path: Path) -> None:
    site, folder = tmp_path / "html", tmp_path / "pages"
    for version, text in (("0.9.0", "old"), ("0.10.0rc1", "soon"), ("0.10.0", "new"), ("0.9.0", "mended")):
        site.mkdir(exist_ok=True)
        (site / "index.html").write_text(text, "utf-8")
        publish(site, folder, version)
    assert [each["version"] for each in json.loads((folder / "versions.json").read_text("utf-8"))] == [
        "0.10.0", "0.10.0rc1", "0.9.0",
    ]  # fmt: skip
    assert (folder / "0.9.0" / "index.html").read_text("utf-8") == "mended"
    assert "url=0.10.0/index.html" in (folder / "index.html").read_text("utf-8")
