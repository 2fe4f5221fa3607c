"""Texts without labels: from files, or from a data set of the Hugging Face hub."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.checks import check_ranges
from tartan.data.endless import Streaming
from tartan.data.formats import format_of, open_table
from tartan.data.hub_files import load_splits
from tartan.data.layout import readable_files
from tartan.data.lines import expand
from tartan.data.shards import FileShard, Shard, hub_shards
from tartan.data.tables import Table
from tartan.data.text_columns import TextColumns, texts_in
from tartan.errors import ConfigError, DataError, first_line, suggest


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


@dataclass(kw_only=True)
class StreamOptions:
    """Options of sources whose domain corpus may be larger than the disk.

    Attributes:
        stream: read the domain corpus while the run trains, and store none of it. The whole corpus
            is then neither counted nor hashed.
        buffer: texts of a streamed corpus that are shuffled together, and in memory at once.
    """

    stream: bool = False
    buffer: int = 10_000


def text_sources(given: Any, option: str) -> list[TextSource]:
    """Return sources from what an option holds: a path or a map, or a list of these.

    Raises:
        ConfigError: it is none of these, or an option of it cannot be used.
    """
    if isinstance(given, list):
        return [each for one in given for each in text_sources(one, option)]
    if isinstance(given, str):
        return [TextSource(path=given)]
    if not isinstance(given, Mapping):
        raise ConfigError(f"{option}={given}: give a path, or a map such as {{hub: ID}}")
    schema = OmegaConf.structured(TextSource)
    for name in given:
        if name not in schema:
            raise ConfigError(f"{option}.{name}: no such option; {suggest(str(name), schema)}")
    try:
        found = OmegaConf.to_object(OmegaConf.merge(schema, dict(given)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{option}: {first_line(error)}") from error
    assert isinstance(found, TextSource)
    if (found.path is None) == (found.hub is None):
        raise ConfigError(f"{option}: give one of path and hub")
    return [found]


def read_texts(
    sources: Sequence[TextSource], option: str, task: Mapping[str, str]
) -> Iterator[str]:
    """Yield the texts of sources, one at a time; blank ones are left out.

    The task's columns, by role, come first where none is named. Of rows with two texts under usual
    names, both are yielded.

    Raises:
        ConfigError: the column or split that is named is missing.
        DataError: a file or row cannot be used.
    """
    for source in sources:
        for place, table in _tables(source, option):
            yield from chain.from_iterable(texts_in(table, _where(source, option, task), place))


def open_stream(sources: Sequence[TextSource], option: str, task: Mapping[str, str]) -> list[Shard]:
    """Return the shards of sources, without reading a row. Arguments are those of `read_texts`.

    Raises:
        ConfigError: a split that is named is missing.
        DataError: a file or data set is missing, or of no known format.
    """
    shards: list[Shard] = []
    for source in sources:
        where = _where(source, option, task)
        if source.hub is not None:
            shards += hub_shards(source.hub, source.config_name, source.split, where)
        else:
            found = [FileShard(expand(file), where) for file in _files(source, option)]
            for shard in found:
                format_of(shard.path)
            shards += found
    return shards


def domain_corpus(
    sources: Sequence[TextSource], options: StreamOptions, task: Mapping[str, str]
) -> tuple[Iterator[str] | None, Streaming | None]:
    """Return the texts of the domain corpus or, where options say so, its stream.

    Args:
        sources: of the corpus; none if there is no such corpus.
        options: whether and how it is streamed.
        task: the task's columns by role.

    Raises:
        ConfigError: an option cannot be used.
        DataError: a file or data set is missing, or of no known format.
    """
    check_ranges("data", options, buffer="[1, inf)")
    if not options.stream:
        return read_texts(sources, "data.domain", task) if sources else None, None
    if not sources:
        raise ConfigError(
            "data.stream=true reads the domain corpus as a stream, and there is none: set "
            "data.domain to files or a data set of the hub"
        )
    return None, Streaming(open_stream(sources, "data.domain", task), options.buffer)


def _where(source: TextSource, option: str, task: Mapping[str, str]) -> TextColumns:
    """Return where the texts of a source are."""
    values = {"path": source.path, "hub": source.hub, "config_name": source.config_name}
    if source.hub is not None and source.split != "train":
        values["split"] = source.split
    given = {name: value for name, value in values.items() if value is not None}
    return TextColumns(source.text, task, option, given)


def _tables(source: TextSource, option: str) -> Iterator[tuple[str, Table]]:
    """Yield the tables of a source, each with its place for error lines."""
    if source.hub is not None:
        found = load_splits(source.hub, source.config_name, f"{option}.hub")
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
    path = expand(source.path or "")
    if path.is_dir():
        found = [str(file) for file in readable_files(path)]
        if not found:
            raise DataError(f"{option}={path}: the directory has no file of texts: add one")
        return found
    if not path.exists():
        raise DataError(f"{option}={path}: no such file or directory: check the path")
    return [str(path)]
