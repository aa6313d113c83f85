"""Live messages: decoded as anywhere, and refused where their time cannot be live.  All pure.

A store spreads what it keeps over time: a few transactions at stray years would open hundreds of its
partitions.  So a live source takes the times of [now - retention, now + 5 min] only; history goes through
files, which have no such window.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

import msgspec
import polars as pl

from collector.batch import decode_batch
from collector.decode import Decoder, rejected
from collector.fastpath import Read
from txwatch.columns import TIME
from txwatch.model import Rejected, Transaction

AHEAD = timedelta(minutes=5)
"""How far a producer's clock may be ahead of ours."""


class LiveWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The event times that a live message may have, whole milliseconds: `first` to `last`, both included."""

    first: datetime
    last: datetime


Decode = Callable[[Sequence[bytes]], Read]
"""Takes messages, gives rows and rejections, `row` being a message's place."""


def decoding(decoder: Decoder, keep: timedelta | None, now: datetime) -> Decode:
    """Return how messages are read at a moment: of times that are kept so long, or (None) of any."""
    if keep is None:
        return partial(decode_batch, decoder=decoder)
    return partial(decode_live, decoder=decoder, window=live_window(now, keep))


def live_window(now: datetime, retention: timedelta) -> LiveWindow:
    """Return the window at a moment, for a store that keeps transactions as long as `retention`."""
    whole = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return LiveWindow(first=whole - retention, last=whole + AHEAD)


def decode_live(messages: Sequence[bytes], decoder: Decoder, window: LiveWindow) -> Read:
    """Return every message as a transaction of the window or a rejection; `row` is its place."""
    read = decode_batch(messages, decoder)
    bounds = pl.lit(window.first).cast(TIME), pl.lit(window.last).cast(TIME)
    timely = read.rows.select(pl.col("timestamp").is_between(*bounds)).to_series()
    if timely.all():
        return read
    strays = read.rows.filter(~timely).select("row", "timestamp").iter_rows()
    refused = [(row, _untimely(when, window, messages[row], decoder)) for row, when in strays]
    together = sorted([*read.rejected, *refused], key=itemgetter(0))
    return Read(rows=read.rows.filter(timely), rejected=tuple(together))


def decode_one_live(message: bytes, decoder: Decoder, window: LiveWindow) -> Transaction | Rejected:
    """Return one message as a transaction of the window or a rejection."""
    result = decoder.decode(message)
    if isinstance(result, Rejected) or window.first <= result.timestamp <= window.last:
        return result
    return _untimely(result.timestamp, window, message, decoder)


def _untimely(when: datetime, window: LiveWindow, message: bytes, decoder: Decoder) -> Rejected:
    name = decoder.schema.column("timestamp")
    if when > window.last:
        sentence = f"{name} is more than {AHEAD.seconds // 60} min ahead of the clock"
    else:
        sentence = (
            f"{name} is older than what the store keeps, {(window.last - AHEAD - window.first).days} days"
        )
    return rejected("time_out_of_range", sentence, message, name)
