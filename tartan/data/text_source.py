"""Texts without labels: from files, or from a data set of the Hugging Face hub."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.data.formats import open_table
from tartan.data.hub_files import load_splits
from tartan.data.layout import readable_files
from tartan.data.lines import expand
from tartan.data.rows import check_characters, kind
from tartan.data.tables import Table
from tartan.data.usual import find_text
from tartan.errors import ConfigError, DataError, suggest


@dataclass
class TextSource:
    """Where texts come from: `path` or `hub`.

    Attributes:
        path: a file or a directory: text files, of which each line is a text, or any format of
            rows.
        hub: the id of a data set on the hub.
        config_name: which of its configurations; None for its only one.
        split: which of its splits.
        text: the column of the text; by default the one with a usual name.
    """

    path: str | None = None
    hub: str | None = None
    config_name: str | None = None
    split: str = "train"
    text: str | None = None
    files: list[str] = field(default_factory=list)


def text_source(given: Any, option: str) -> TextSource:
    """Return a source from what an option holds: a path, a list of paths, or a map.

    Raises:
        ConfigError: it is none of these, or an option of it cannot be used.
    """
    if isinstance(given, str):
        return TextSource(path=given)
    if isinstance(given, list):
        return TextSource(files=[str(file) for file in given])
    if not isinstance(given, Mapping):
        raise ConfigError(f"{option}={given}: give a path, or a map such as {{hub: ID}}")
    schema = OmegaConf.structured(TextSource)
    for name in given:
        if name not in schema:
            raise ConfigError(f"{option}.{name}: no such option; {suggest(str(name), schema)}")
    try:
        found = OmegaConf.to_object(OmegaConf.merge(schema, dict(given)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{option}: {str(error).splitlines()[0]}") from error
    assert isinstance(found, TextSource)
    if (found.path is None) == (found.hub is None) and not found.files:
        raise ConfigError(f"{option}: give one of path and hub")
    return found


def read_texts(source: TextSource, option: str) -> Iterator[str]:
    """Yield the texts of a source, one at a time; blank ones are left out.

    Of rows with two texts under usual names, both are yielded.

    Raises:
        ConfigError: the column or split that is named is missing.
        DataError: a file or row cannot be used.
    """
    for place, table in _tables(source, option):
        columns = list(find_text(table, {"text": source.text}, place).values())
        for row in table.rows(columns):
            for column in columns:
                value = row.values.get(column)
                if isinstance(value, str) and not value.strip():
                    continue
                here = row.line or place
                if not isinstance(value, str):
                    raise DataError(f"{here}: text is {kind(value)}: make it a string")
                check_characters(value, "text", here)
                yield value


def _tables(source: TextSource, option: str) -> Iterator[tuple[str, Table]]:
    """Yield the tables of a source, each with its place for error lines."""
    if source.hub is not None:
        found = load_splits(source.hub, source.config_name)
        if source.split not in found:
            raise ConfigError(
                f"{option}.split={source.split}: {source.hub} has no such split: "
                f"{suggest(source.split, found)}"
            )
        yield f"{source.hub} {source.split}", found[source.split]
        return
    for file in _files(source, option):
        path = expand(file)
        yield str(path), open_table([path])


def _files(source: TextSource, option: str) -> Sequence[str]:
    """Return the files of a source. DataError if there are none."""
    if source.files:
        return source.files
    path = expand(source.path or "")
    if path.is_dir():
        found = [str(file) for file in readable_files(path)]
        if not found:
            raise DataError(f"{option}={path}: the directory has no file of texts: add one")
        return found
    if not path.exists():
        raise DataError(f"{option}={path}: no such file or directory: check the path")
    return [str(path)]
