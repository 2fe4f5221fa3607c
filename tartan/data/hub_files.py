"""Find the files of a dataset, by split, and how to read them.

Which files a dataset consists of, `datasets` decides: by names, directories and the dataset card.
CSV, JSON and Parquet files are read by tartan itself, so that values stay as they are written, an
error names file and line, and no copy of the texts is left in a cache.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import shorten
from typing import Any

import datasets
from datasets import Dataset, DatasetDict, Features
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from tartan.data.arrow import batches_of, spool
from tartan.data.columnar import ColumnarTable
from tartan.data.csv_file import Dialect
from tartan.data.lines import OPENERS, expand
from tartan.data.scratch import scratch
from tartan.data.tables import DatasetTable, Table, csv_table, json_table
from tartan.errors import DataError

NO_CACHE = "memory://tartan"
"""A cache directory for `datasets` where it only finds files: it would lock and make a real one."""
UNDERSTOOD = {"sep", "delimiter", "quotechar", "names", "column_names"}
"""The options of a dataset card's CSV files that `Dialect` has."""
NEUTRAL = {"name", "version", "data_dir", "data_files", "description", "features", "chunksize"}
"""What is not about the format."""


def load_splits(
    name: str, config_name: str | None, option: str = "data.name"
) -> Mapping[str, Table]:
    """Return every split of a dataset, by name. DataError if it cannot be read.

    Args:
        name: its id on the hub, or a local directory.
        config_name: which of its configurations; None for its only one.
        option: the option that names it, for error lines.
    """
    path = expand(name)
    local = is_directory(path)
    if is_file(path):
        raise DataError(f"{option}={name} is a file: {_as_file(name, option)}")
    if not local and name.startswith(("/", ".", "~")):
        raise DataError(f"{name}: no such directory: set {option} to a directory or a hub id")
    try:
        if (saved := saved_splits(path)) is not None:
            return as_tables(saved)
        place = str(path) if local else name
        found = _read_files(place, config_name) if local else _read_hub(name, config_name)
        return found or _load(place, config_name)
    except DataError:
        raise
    except Exception as error:
        # The library lets anything through: the network's errors, and those of every file format.
        raise DataError(
            f"{option}={name} cannot be loaded ({_reason(error)}): check the id or directory, and "
            f"{option.rpartition('.')[0]}.config_name"
        ) from error


def _as_file(name: str, option: str) -> str:
    """Return how a single file is read."""
    if option == "data.name":
        return f"read it with data=files data.path={name}"
    section = option.rpartition(".")[0]
    return f"read it with {section}={name}"


def is_directory(path: Path) -> bool:
    """Return whether a path is a directory; False if no system could have such a path."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Return whether a path is a file; False if no system could have such a path."""
    try:
        return path.is_file()
    except OSError:
        return False


def saved_splits(path: Path) -> Mapping[str, Dataset] | None:
    """Return the splits that `save_to_disk` wrote, a single one as train; None of other files."""
    if not ((path / "dataset_dict.json").exists() or (path / "state.json").exists()):
        return None
    saved = datasets.load_from_disk(str(path))
    return saved if isinstance(saved, DatasetDict) else {"train": saved}


def as_tables(parts: Mapping[Any, Dataset]) -> Mapping[str, Table]:
    """Return splits as tables, by name."""
    return {str(split): DatasetTable(rows) for split, rows in parts.items()}


def _read_hub(name: str, config_name: str | None) -> Mapping[str, Table] | None:
    """Return the splits of a dataset on the hub; without network, of the files that were fetched.

    None where `datasets` has to read it.
    """
    try:
        return _read_files(name, config_name)
    except ConnectionError:
        try:
            fetched = snapshot_download(name, repo_type="dataset", local_files_only=True)
        except (LocalEntryNotFoundError, HFValidationError):
            return None
        return _read_files(fetched, config_name)


def _read_files(place: str, config_name: str | None) -> Mapping[str, Table] | None:
    """Return the splits of a dataset of CSV, JSON or Parquet files; None for any other."""
    builder = datasets.load_dataset_builder(place, config_name, cache_dir=NO_CACHE)
    config, declared = builder.config, builder.info.features
    if not config.data_files or not _is_plain(config):
        return None
    manager = datasets.DownloadManager()
    files = {
        str(split): [Path(file) for file in manager.download(list(found))]
        for split, found in config.data_files.items()
    }
    ends = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", *OPENERS)
    if any(path.suffix.lower() not in ends for paths in files.values() for path in paths):
        return None
    return {split: _table(builder.name, paths, config, declared) for split, paths in files.items()}


def _table(format: str, files: Sequence[Path], config: Any, declared: Features | None) -> Table:
    """Return the rows of files of a format."""
    if format == "csv":
        dialect = Dialect(config.sep, config.quotechar, config.names)
        return csv_table(files, lambda _: dialect, declared)
    if format == "json":
        return json_table(files, declared)
    return ColumnarTable(files, declared)


def _is_plain(config: Any) -> bool:
    """Return whether files are of a format that is read here, without options that are not."""
    kinds = {"CsvConfig": UNDERSTOOD, "JsonConfig": set[str](), "ParquetConfig": set[str]()}
    understood = kinds.get(type(config).__name__)
    if understood is None:
        return False
    default = type(config)()
    return all(
        getattr(config, option.name) == getattr(default, option.name)
        for option in fields(config)
        if option.name not in understood | NEUTRAL
    )


def _load(place: str, config_name: str | None) -> Mapping[str, Table]:
    """Have `datasets` read a dataset: into its cache or, without one, files that have no name."""
    if datasets.is_caching_enabled():
        try:
            return as_tables(datasets.load_dataset(place, config_name))
        except PermissionError:
            pass  # the cache is another user's
    with scratch(Path(tempfile.gettempdir())) as directory:
        loaded = datasets.load_dataset(place, config_name, cache_dir=str(directory))
        return {
            str(split): DatasetTable(spool(batches_of(rows), rows.features))
            for split, rows in loaded.items()
        }


def _reason(error: Exception) -> str:
    """Return why a library failed: the first error of a chain that says more than that it did."""
    cause: BaseException = error
    while str(cause).startswith("An error occurred") and cause.__cause__:
        cause = cause.__cause__
    return shorten(str(cause), 300) or type(cause).__name__
