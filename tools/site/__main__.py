"""`python -m tools.site FOLDER`: write every page of the site into FOLDER."""

import sys
from pathlib import Path

from tools.site.command_pages import commands_page
from tools.site.python_pages import python_page
from tools.site.staging import stage


def main(out: Path) -> None:
    """Write the pages of docs/, the runbooks and the generated reference, and nothing else, into `out`."""
    count = stage(out, {"reference/commands.md": commands_page(), "reference/python.md": python_page()})
    print(f"{count} pages in {out}")


if len(sys.argv) != 2:
    sys.exit("expected one folder; next step: python -m tools.site build/site/pages")
main(Path(sys.argv[1]))
