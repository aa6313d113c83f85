"""Windows added up: over partitions, over values, or ten-second windows to longer ones."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np

from collector.metrics import amounts, users
from txwatch.ports import TrafficPoint


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What several windows are together; estimates are those of the joined sketches."""

    count: int
    declined: int
    total: float
    lag_mean: float | None
    lag_max: float | None
    users: int
    p50: float | None
    p95: float | None

    @property
    def declined_share(self) -> float | None:
        """Which part was declined; None where nothing was."""
        return self.declined / self.count if self.count else None


def together(points: Iterable[TrafficPoint]) -> Traffic:
    """Return windows that share no transaction as one; the same user in two of them is counted once."""
    parts = list(points)
    count = sum(p.count for p in parts)
    registers = np.zeros(users.REGISTERS, dtype=np.uint8)
    bins = np.zeros(amounts.BINS, dtype=np.int32)
    for part in parts:
        registers = np.maximum(registers, users.unpack(part.user_sketch))
        bins += amounts.unpack(part.amount_sketch)
    return Traffic(
        count=count,
        declined=sum(p.declined for p in parts),
        total=sum(p.total for p in parts),
        lag_mean=sum(p.lag_total for p in parts) / count if count else None,
        lag_max=max((p.lag_max for p in parts), default=None),
        users=users.estimate(registers),
        p50=amounts.quantile(bins, 0.5),
        p95=amounts.quantile(bins, 0.95),
    )


def over_partitions(points: Iterable[TrafficPoint]) -> dict[tuple[datetime, int, str, str], Traffic]:
    """Return each (start, seconds, dimension, value) over all sources and partitions."""
    groups: dict[tuple[datetime, int, str, str], list[TrafficPoint]] = {}
    for p in points:
        groups.setdefault((p.start.astimezone(UTC), p.seconds, p.dimension, p.value), []).append(p)
    return {key: together(parts) for key, parts in groups.items()}
