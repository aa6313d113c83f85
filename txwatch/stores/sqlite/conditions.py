"""A WHERE clause that grows by the conditions that are given; None means no condition."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Conditions:
    """Conditions joined by AND; `str()` is the clause, `values` its parameters in order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.values: list[object] = []

    def __str__(self) -> str:
        """Return the clause with a leading space, or nothing."""
        return f" WHERE {' AND '.join(self._texts)}" if self._texts else ""

    def equal(self, column: str, value: object | None) -> None:
        """Ask for the value exactly."""
        self.add(f"{column} = ?", value)

    def at_least(self, column: str, value: object | None) -> None:
        """Ask for the value or more."""
        self.add(f"{column} >= ?", value)

    def below(self, column: str, value: object | None) -> None:
        """Ask for less than the value."""
        self.add(f"{column} < ?", value)

    def add(self, text: str, value: object | None) -> None:
        """Add any condition with one parameter."""
        if value is not None:
            self._texts.append(text)
            self.values.append(value)


def milliseconds(time: datetime | None) -> int | None:
    """Return an aware time as milliseconds since 1970 UTC, a fraction counting as a whole one.

    Stored times have no fractions, so a bound between two of them falls on the later one.
    """
    return None if time is None else -((EPOCH - time) // MILLISECOND)
