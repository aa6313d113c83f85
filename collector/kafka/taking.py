"""From messages as Kafka hands them out to what the collector stores.  All pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
import polars as pl

from collector.fastpath import Read
from collector.live import Decode
from collector.source import Collected
from txwatch.columns import TRANSACTION
from txwatch.model import Partition, Quarantined

Place = tuple[str, int]
"""A topic and the number of a partition."""


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in order of arrival, each with its place: columns `topic`, `partition`, `sequence`."""

    places: pl.DataFrame
    values: list[bytes]


def messages_of(
    topics: list[str], partitions: list[int], offsets: list[int], values: list[bytes]
) -> Messages:
    """Return messages from a list of each."""
    places = {
        "topic": pl.Series(topics, dtype=pl.String),
        "partition": pl.Series(partitions, dtype=pl.Int32),
        "sequence": pl.Series(offsets, dtype=pl.Int64),
    }
    return Messages(places=pl.DataFrame(places), values=values)


def went_back(messages: Messages, stored: Mapping[Place, int]) -> set[str]:
    """Return the topics whose offsets begin before what is stored, as those of a topic made anew do."""
    first = messages.places.group_by("topic", "partition").agg(pl.col("sequence").first())
    return {topic for topic, number, offset in first.iter_rows() if offset < stored.get((topic, number), 0)}


def take(messages: Messages, names: Mapping[str, str], decode: Decode, now: datetime) -> Collected:
    """Return the messages as rows and rejections; `names` are the sources' names by topic."""
    places, values = messages.places, messages.values
    kept = _newest_delivery(places)
    if kept is not None:
        places, values = places[kept], [values[index] for index in kept]
    places = places.select(pl.col("topic").replace_strict(names).alias("source"), *_NUMBERS)
    read = decode(values)
    ends = places.group_by("source", "partition").agg(pl.col("sequence").last())
    return Collected(
        rows=pl.concat([places[read.rows["row"]], read.rows.select(*TRANSACTION)], how="horizontal"),
        rejected=_quarantined(places, read, now),
        positions={Partition(source, partition): last + 1 for source, partition, last in ends.iter_rows()},
    )


def without(collected: Collected, gone: set[Partition]) -> Collected:
    """Return what was collected without partitions that belong to somebody else now."""
    strange = pl.DataFrame(list(gone), schema={"source": pl.String, "partition": pl.Int32}, orient="row")
    return msgspec.structs.replace(
        collected,
        rows=collected.rows.join(strange, on=["source", "partition"], how="anti", maintain_order="left"),
        rejected=tuple(each for each in collected.rejected if (each.source, each.partition) not in gone),
        positions={place: following for place, following in collected.positions.items() if place not in gone},
    )


_NUMBERS = ("partition", "sequence")


def _quarantined(places: pl.DataFrame, read: Read, now: datetime) -> tuple[Quarantined, ...]:
    found = places[[row for row, _ in read.rejected]].iter_rows() if read.rejected else ()
    return tuple(
        Quarantined(source=source, partition=partition, sequence=sequence, received_at=now, rejected=why)
        for (source, partition, sequence), (_, why) in zip(found, read.rejected, strict=True)
    )


def _newest_delivery(places: pl.DataFrame) -> list[int] | None:
    """Say which messages to keep where a partition went and came back: those since; None is all.

    It came back to where its offset was committed, which is at or before what had been read.
    """
    key = ("topic", "partition")
    back = (pl.col("sequence") <= pl.col("sequence").shift(1).over(key)).fill_null(value=False)
    deliveries = places.select(*key, back=back)
    if not deliveries["back"].any():
        return None
    number = pl.col("back").cum_sum().over(key)
    kept = deliveries.select(kept=number == number.max().over(key))["kept"]
    return kept.arg_true().to_list()
