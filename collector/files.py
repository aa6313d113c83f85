"""Files as a source: one file, a folder, a glob, or standard input.

Guarantee: a record's sequence is its number in the file, and the source is the file's name with a
fingerprint of how it begins, so reading the same file again gives the same identities, and a file that was
replaced is a new source.  Nothing is lost or doubled by a crash.  Files are taken as complete: what is
appended to one beyond its first 64 KiB is read by the next run, what is appended before makes it a new one.

Standard input (`-`) cannot be read again: each run over it is a source of its own, and what was read and not
stored when the process dies is lost.  It is read in large blocks up to its end, not as lines trickle in.
"""

import glob
import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from collector.decode import Decoder
from collector.readers.chunk import CHUNK, Chunk, Reader
from collector.readers.csvlines import read_csv
from collector.readers.endings import known_reader, reader_for
from collector.readers.jsonlines import read_json_lines
from collector.readers.lines import STANDARD_INPUT
from collector.schema import Schema
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import InputError
from txwatch.model import Partition, Quarantined, Rejected

FINGERPRINT_BYTES = 65_536

Positions = Callable[[str], Mapping[Partition, int]]
"""Where reading goes on, by source name."""


def find_files(inputs: Sequence[str]) -> list[Path]:
    """Return the files that the inputs name, each folder's and glob's in order of name."""
    found = [path for text in inputs for path in _files(text)]
    for path in found:
        if str(path) == STANDARD_INPUT:
            continue
        if not path.is_file():
            raise InputError(f"there is no file {path}")
        reader_for(str(path))
    return found


def source_name(path: Path) -> str:
    """Return the file's name with a fingerprint of its first 64 KiB."""
    try:
        with path.open("rb") as file:
            digest = hashlib.blake2b(file.read(FINGERPRINT_BYTES), digest_size=6).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return f"{path.name}@{digest}"


class StandardInput(NamedTuple):
    """What standard input is called as a source, and how it is read."""

    name: str
    reader: Reader


class FileSource:
    """Reads files one after the other, each a source of its own with one partition."""

    def __init__(
        self,
        files: Sequence[Path],
        schema: Schema,
        positions: Positions,
        now: Callable[[], datetime],
        *,
        stdin_csv: bool = False,
    ) -> None:
        """`stdin_csv`: standard input, where it is among the files, is CSV instead of JSON Lines."""
        stdin = StandardInput(f"stdin@{now():%Y%m%dT%H%M%S%f}", read_csv if stdin_csv else read_json_lines)
        self._chunks = _in_turn(files, Decoder(schema), positions, stdin)
        self._now = now
        self._left: Collected | None = None

    def read(self, limit: int) -> Collected:
        """Return the next records: at most `limit` rows, and the rejections between them."""
        if self._left is None:
            chunk = next(self._chunks, None)
            if chunk is None:
                return Collected(rows=pl.DataFrame(schema=POSITION | TRANSACTION), finished=True)
            self._left = collected(chunk[0], chunk[1], self._now())
        part, self._left = split(self._left, limit)
        return part

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Nothing to tell a file."""

    def close(self) -> None:
        """Close the file that is open."""
        self._chunks.close()


def collected(source: str, chunk: Chunk, now: datetime) -> Collected:
    """Return a chunk with its place: what the collector stores."""
    rows = chunk.rows.select(
        pl.lit(source).alias("source"),
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.col("row").alias("sequence"),
        *TRANSACTION,
    )
    rejected = tuple(_quarantined(source, number, why, now) for number, why in chunk.rejected)
    return Collected(rows=rows, rejected=rejected, positions={Partition(source, 0): chunk.following})


def split(whole: Collected, limit: int) -> tuple[Collected, Collected | None]:
    """Return the part up to the first `limit` rows of a single partition, and what is left."""
    if whole.rows.height <= limit:
        return whole, None
    (partition,) = whole.positions
    border = int(whole.rows["sequence"][limit])
    before = tuple(record for record in whole.rejected if record.sequence < border)
    first = Collected(rows=whole.rows[:limit], rejected=before, positions={partition: border})
    rest = Collected(
        rows=whole.rows[limit:], rejected=whole.rejected[len(before) :], positions=whole.positions
    )
    return first, rest


def _in_turn(
    files: Sequence[Path], decoder: Decoder, positions: Positions, stdin: StandardInput
) -> Generator[tuple[str, Chunk]]:
    for path in files:
        is_stdin = str(path) == STANDARD_INPUT
        name = stdin.name if is_stdin else source_name(path)
        reader = stdin.reader if is_stdin else reader_for(str(path))
        start = positions(name).get(Partition(name, 0), 0)
        for chunk in reader(str(path), decoder, start, CHUNK):
            yield name, chunk


def _files(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _known(text, _children(path))
    if any(sign in text for sign in "*?[") and not path.exists():
        return _known(text, [Path(name) for name in sorted(glob.glob(text, recursive=True))])  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [path]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if child.is_file())
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror}") from error


def _known(text: str, candidates: list[Path]) -> list[Path]:
    known = [path for path in candidates if known_reader(str(path)) is not None]
    if not known:
        raise InputError(f"no CSV, JSON Lines or Parquet file is found under {text}")
    return known


def _quarantined(source: str, number: int, why: Rejected, now: datetime) -> Quarantined:
    return Quarantined(source=source, partition=0, sequence=number, received_at=now, rejected=why)
