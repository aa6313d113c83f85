"""The transactions of one day while it is being made: plain columns, one entry a transaction."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from collector.simulator.places import Flags, Floats, Ints
from collector.simulator.world import World

APPROVED, DECLINED, REVERSED = range(3)
NO_DEVICE = -1
STRANGE = 1_000_000_000
"""Device and card numbers below are a user's own (0 the first, 1 the second), from here on a thief's."""
NO_EPISODE = -1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Columns of equal length; `seconds` of the day, `amount` in EUR, `city` where the payer is."""

    seconds: Floats
    user: Ints
    merchant: Ints
    amount: Floats
    status: Ints
    city: Ints
    device: Ints
    card: Ints
    episode: Ints

    def __len__(self) -> int:
        """Return the number of transactions."""
        return len(self.seconds)

    def keep(self, which: Flags | Ints) -> "Rows":
        """Return some of the rows, or all in another order."""
        return Rows(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def having(self, **columns: Any) -> "Rows":
        """Return the rows with other columns."""
        return replace(self, **columns)

    def and_then(self, more: "Rows") -> "Rows":
        """Return these rows and more."""
        joined = {
            f.name: np.concatenate((getattr(self, f.name), getattr(more, f.name))) for f in fields(self)
        }
        return Rows(**joined)


def purchases(
    world: World, seconds: Floats, user: Ints, merchant: Ints, amount: Floats, episode: int = NO_EPISODE
) -> Rows:
    """Return approved purchases with the users' own cards: with plastic at the shop, or online at home."""
    count = len(seconds)
    online = world.online[merchant]
    return Rows(
        seconds=seconds,
        user=user,
        merchant=merchant,
        amount=amount,
        status=np.full(count, APPROVED),
        city=np.where(online, world.home[user], world.shop_city[merchant]),
        device=np.where(online, 0, NO_DEVICE),
        card=np.zeros(count, dtype=np.int64),
        episode=np.full(count, episode),
    )
