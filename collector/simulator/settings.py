"""What kind of world is simulated."""

from datetime import UTC, datetime

import msgspec


class SimulationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Size, rhythm and frauds of the world.  `start` is midnight of the first day, UTC."""

    seed: int = 1
    users: int = 2500
    merchants: int = 300
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    days: int | None = None
    """None: without end."""
    per_user_per_day: float = 4.0
    frauds_per_day: float = 10.0
    first_fraud_day: int = 2

    def __post_init__(self) -> None:
        """Refuse a world that cannot be."""
        if self.start.tzinfo is None:
            raise ValueError("start has no time zone; every time in txwatch is aware")
        if min(self.users, self.merchants) < 1:
            raise ValueError("a world needs at least one user and one merchant")
