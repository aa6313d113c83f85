"""An event of a series as the anomaly that people are told of: new, graver, less grave, or withdrawn."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from detectors.series.account import CODES, Sum, code, reason, reason_withdrawn
from detectors.series.events import NEW, Event, Raised
from detectors.series.grade import hundreds, log_odds
from detectors.series.method import Record
from detectors.series.windows import Key
from txwatch.model import Anomaly, AnomalyState, AnomalyType, Severity, series_anomaly_id

SOURCE = "series"


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Which series: its name, what it is about, its metric, and the length of its windows in seconds.

    `note` is what is told of the day beside it, where it is a holiday.
    """

    name: str
    key: Key
    metric: str
    seconds: int
    note: str = ""

    def start(self, window: int) -> datetime:
        """Return when a window begins."""
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=window * self.seconds)


def sum_of(series: Series, last: int, found: Record, windows: int) -> Sum:
    """Return what was seen and due in the windows of a RESULT, up to the last of them."""
    kind, entity = series.key
    return Sum(
        metric=series.metric,
        kind=kind,
        entity=entity,
        start=series.start(last + 1 - int(found["rows"])),
        end=series.start(last + 1),
        seen=float(found["seen"]),
        due=float(found["due"]),
        spread=float(found["spread"]),
        windows=windows,
        evidence=float(found["evidence"]),
        note=series.note,
    )


def anomaly_of(
    series: Series, raised: Raised, found: Record, windows: int, *, now: datetime | None, late: bool
) -> Anomaly:
    """Return the anomaly, and note at its event what is told of it.

    Args:
        series: the series.
        raised: what is new of the event.
        found: the RESULT that speaks loudest; of a withdrawn event that of the windows told last.
        windows: how many windows the series has had.
        now: when it was found; None: at the end of the window.
        late: whether late data brought it to light.
    """
    event, about = raised.event, sum_of(series, raised.window, found, windows)
    if event.withdrawn:
        says = reason_withdrawn(
            about, event.seen, [name for n, name in enumerate(CODES) if event.codes >> n & 1]
        )
    else:
        says = reason(about)
        _note(event, raised.window, about, int(found["rows"]))
    before = raised.before if late else None
    evidence = np.array(about.evidence)
    return Anomaly(
        anomaly_id=series_anomaly_id(series.name, series.start(event.opened)),
        kind="series",
        type=AnomalyType.SERIES,
        timestamp=series.start(event.opened),
        detected_at=now or about.end,
        severity=Severity(event.level + 1),
        score=float(hundreds(evidence)),
        reasons=(says,),
        entity_kind=series.key[0],
        entity_id=series.key[1] or "all",
        late=late,
        state=AnomalyState.WITHDRAWN if event.withdrawn else AnomalyState.FOUND,
        revision=event.revision,
        before=None if before in {None, NEW} else Severity(before + 1),
        source=SOURCE,
        sequence=event.series,
        series=series.name,
        window_end=about.end,
        detectors={"profile": float(log_odds(evidence))},
        **_about(series.key),
    )


def _about(key: Key) -> dict[str, Any]:
    kind, entity = key
    names = {"merchant": "merchant_id", "channel": "channel", "country": "country"}
    return {names[kind]: entity} if kind in names else {}


def _note(event: Event, window: int, about: Sum, rows: int) -> None:
    event.end, event.rows, event.seen = window, rows, about.seen
    event.codes |= 1 << CODES.index(code(about))
