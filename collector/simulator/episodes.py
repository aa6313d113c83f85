"""When which fraud befalls whom: decided a day at a time, whatever days were asked for before."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from collector.simulator.frauds import DAY, HOUR, KINDS, Episode, Kind
from collector.simulator.world import World
from txwatch.columns import TIME

EARLIEST, LATEST = 8 * HOUR, 18 * HOUR
"""Episodes begin between these times of the day, UTC."""
LONGEST_DAYS = 1 + int(max(kind.longest for kind in KINDS) // DAY)
PER_DAY = 1000
"""Episode numbers of a day start at day times this."""

EPISODES: dict[str, pl.DataType] = {
    "episode": pl.Int64(),
    "kind": pl.String(),
    "entity_kind": pl.String(),
    "entity_id": pl.String(),
    "start": TIME,
    "end": TIME,
}


def starting(world: World, day: int) -> list[Episode]:
    """Return the episodes that begin on a day."""
    settings = world.settings
    if day < settings.first_fraud_day:
        return []
    rng = np.random.default_rng([settings.seed, 4, day])
    shares = np.array([kind.share for kind in KINDS])
    kinds = rng.choice(len(KINDS), rng.poisson(settings.frauds_per_day), p=shares / shares.sum())
    return [_begun(world, KINDS[kind], day, day * PER_DAY + n, rng) for n, kind in enumerate(kinds)]


def touching(world: World, day: int) -> list[tuple[Kind, Episode]]:
    """Return the episodes that go on at any time of a day, in the order in which they are applied."""
    near = [e for first in range(max(0, day - LONGEST_DAYS), day + 1) for e in starting(world, first)]
    today = [e for e in near if e.start < (day + 1) * DAY and e.end > day * DAY]
    return [(kind, e) for kind in KINDS for e in today if e.kind == kind.name]


def table(world: World, episodes: Iterable[Episode]) -> pl.DataFrame:
    """Return episodes as a frame with the columns of EPISODES."""
    midnight = int(world.settings.start.timestamp() * 1000)
    rows = [
        (
            e.number,
            e.kind,
            e.entity_kind,
            f"u{e.entity:06}" if e.entity_kind == "user" else f"m{e.entity:04}",
            midnight + int(e.start * 1000),
            midnight + int(e.end * 1000),
        )
        for e in episodes
    ]
    numbers = EPISODES | {"start": pl.Int64(), "end": pl.Int64()}
    return pl.DataFrame(rows, schema=numbers, orient="row").cast(pl.Schema(EPISODES))


def _begun(world: World, kind: Kind, day: int, number: int, rng: np.random.Generator) -> Episode:
    start = day * DAY + rng.uniform(EARLIEST, LATEST)
    return Episode(
        number=number,
        kind=kind.name,
        entity_kind=kind.entity_kind,
        entity=int(rng.choice(kind.victims(world, day))),
        start=start,
        end=start + rng.uniform(kind.shortest, kind.longest),
        strength=rng.random(),
    )
