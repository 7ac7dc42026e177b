"""`python -m tools.site.publish SITE FOLDER VERSION`: put a built site beside those of other versions.

FOLDER/VERSION is the site, FOLDER/index.html leads to the newest one, and FOLDER/versions.json lists them all, newest
first, as mike does: the pages' own selector of versions reads it.
"""

import json
import shutil
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

__all__ = ["publish"]


def publish(site: Path, folder: Path, version: str) -> None:
    """Copy a site; one of the same version is replaced. Raises InvalidVersion for what is no version."""
    there = {each.parent.name for each in folder.glob("[0-9]*/index.html")} | {str(Version(version))}
    newest_first = sorted(there, key=Version, reverse=True)
    shutil.rmtree(folder / version, ignore_errors=True)
    shutil.copytree(site, folder / version)
    listed = [{"version": each, "title": each, "aliases": []} for each in newest_first]
    (folder / "versions.json").write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
    leads = f'<!doctype html><meta http-equiv="refresh" content="0; url={newest_first[0]}/index.html">\n'
    (folder / "index.html").write_text(leads, "utf-8")
    (folder / ".nojekyll").touch()  # GitHub then serves the files as they are


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("expected a site, a folder and a version; next step: make docs, then build/site/html FOLDER 0.1.0")
    try:
        publish(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    except InvalidVersion as error:
        sys.exit(f"expected a version such as 0.1.0, got {error}")
