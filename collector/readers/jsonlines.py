"""JSON Lines: one JSON object a line.  Blank lines count as records that say nothing."""

from collections.abc import Iterator
from operator import itemgetter

import polars as pl

from collector.batch import decode_batch
from collector.decode import Decoder
from collector.readers.chunk import Chunk
from collector.readers.lines import Line, Oversized, open_lines


def read_json_lines(path: str, decoder: Decoder, start: int, size: int) -> Iterator[Chunk]:
    """Read a file of JSON Lines (`-` for standard input) from record `start` on."""
    with open_lines(path) as lines:
        lines.skip(start)
        following = start
        while taken := lines.take(size):
            yield _chunk(taken, decoder, following)
            following += len(taken)


def _chunk(taken: list[Line], decoder: Decoder, first: int) -> Chunk:
    numbers = [n for n, line in enumerate(taken, first) if isinstance(line, bytes) and line.strip()]
    read = decode_batch([line for line in taken if isinstance(line, bytes) and line.strip()], decoder)
    refused = [(numbers[row], why) for row, why in read.rejected]
    refused += ((n, line.rejected) for n, line in enumerate(taken, first) if isinstance(line, Oversized))
    return Chunk(
        rows=read.rows.with_columns(row=pl.Series(numbers, dtype=pl.Int64).gather(read.rows["row"])),
        rejected=tuple(sorted(refused, key=itemgetter(0))),
        following=first + len(taken),
    )
