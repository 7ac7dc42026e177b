"""A folder written by `datasets.save_to_disk`. Needs pyarrow (`pip install 'otel-llm[parquet]'`), not the network.

The folder holds Arrow streams, which its `state.json` lists in order; with several splits, it holds a folder for each.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import require_path
from otel_llm.load.prompts.tables import import_pyarrow, pick_column, prompt_of_cell

__all__ = ["prompts"]


def prompts(
    path: Path | None, seed: int, *, column: str | None = None, split: str | None = None
) -> Iterator[str | Any]:
    """Yield each cell of `column`, text or messages, of `split` (default: the only split, else "train").

    Raises ConfigError when pyarrow is not installed, or the folder, the split or the column does not exist.
    """
    arrow = import_pyarrow(path)
    folder = _split(path, split)
    number = 0
    for file in _files(folder):
        try:
            with arrow.memory_map(str(file)) as source, arrow.ipc.open_stream(source) as stream:
                name = pick_column(stream.schema.names, column, folder)
                for batch in stream:
                    for cell in batch.column(name).to_pylist():
                        number += 1
                        if (prompt := prompt_of_cell(cell, f"{folder}, row {number}")) is not None:
                            yield prompt
        except (OSError, arrow.ArrowException) as error:
            raise ConfigError(f"an Arrow stream at {file}", error, "write the folder with save_to_disk") from error


def _split(path: Path | None, wanted: str | None) -> Path:
    """Return the folder of the split."""
    path = require_path(path)
    if not path.is_dir():
        raise ConfigError(f"a folder written by datasets.save_to_disk at {path}", next_step="check the path")
    index = path / "dataset_dict.json"
    if not index.exists():
        return path
    splits = json.loads(index.read_text("utf-8"))["splits"]
    name = wanted or (splits[0] if len(splits) == 1 else "train")
    if name not in splits:
        raise ConfigError(f"a split out of {splits} in {path}", name, "name one with the dataset option split=NAME")
    return path / str(name)


def _files(folder: Path) -> list[Path]:
    state = folder / "state.json"
    if not state.exists():
        raise ConfigError(f"state.json in {folder}", next_step="give the folder that save_to_disk was given")
    return [folder / file["filename"] for file in json.loads(state.read_text("utf-8"))["_data_files"]]
