"""Whom a fraud can befall on a day: a rule is a function that returns users or merchants."""

from collections.abc import Callable

import numpy as np

from collector.simulator.places import Ints
from collector.simulator.world import World

Victims = Callable[[World, int], Ints]
"""(world, day) -> rows of users or of merchants, never empty."""

BUSY_MERCHANTS = 15


def people(world: World, day: int) -> Ints:
    """Return everybody who has joined."""
    return np.flatnonzero(world.joined <= day)


def online(world: World, day: int) -> Ints:
    """Return the merchants that sell online."""
    return world.online_shops(day)


def visited(world: World, day: int) -> Ints:
    """Return the busier half of the merchants: where a change of amounts leaves a trace."""
    shops = np.flatnonzero(world.opened <= day)
    return shops[world.traffic[shops] >= np.median(world.traffic[shops])]


def busiest(world: World, day: int) -> Ints:
    """Return the merchants whose silence is heard."""
    shops = np.flatnonzero(world.opened <= day)
    return shops[np.argsort(-world.traffic[shops], kind="stable")[:BUSY_MERCHANTS]]
