"""What kind of world is simulated."""

from datetime import UTC, datetime, timedelta

import msgspec

LEAST_MERCHANTS = 10
MOST_FRAUDS_PER_DAY = 500.0


class SimulationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Size, rhythm and frauds of the world.

    `start` is aware, in UTC, and the midnight of the first day; `per_user_per_day` is a mean over users;
    `frauds_per_day` is the mean number of episodes that begin on a day from `first_fraud_day` (0 is the
    first) on.
    """

    seed: int = 1
    users: int = 2500
    merchants: int = 300
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    days: int | None = None
    """None: without end."""
    per_user_per_day: float = 4.4
    frauds_per_day: float = 10.0
    first_fraud_day: int = 2

    def __post_init__(self) -> None:
        """Refuse a world that cannot be."""
        if self.start.tzinfo is None:
            raise ValueError("start has no time zone; every time in txwatch is aware")
        if self.users < 1 or self.merchants < LEAST_MERCHANTS:
            raise ValueError(f"a world needs at least one user and {LEAST_MERCHANTS} merchants")
        if self.seed < 0 or not 0 <= self.frauds_per_day <= MOST_FRAUDS_PER_DAY:
            raise ValueError(f"a seed is not negative; frauds a day are 0 to {MOST_FRAUDS_PER_DAY:.0f}")


def rebased(settings: SimulationSettings, now: datetime, history_days: int) -> SimulationSettings:
    """Return the settings with a start `history_days` before today's midnight in UTC.

    For a live store, which takes no times of long ago and none of the future: the source then gives the
    history at once and holds back what has not happened yet (`SimulatorSource`).
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return msgspec.structs.replace(settings, start=midnight - timedelta(days=history_days))
