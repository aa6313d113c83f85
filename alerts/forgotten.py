"""Silences that somebody should hear about: one that is about to end, and one that hides nothing any more."""

from datetime import UTC, datetime, timedelta

from alerts.silences import Silence, state

SOON = timedelta(hours=2)
LONG = timedelta(hours=4)
"""Whoever silences something for less knows that it ends."""
IDLE = timedelta(days=1)


def noticed(silence: Silence, hid: int, hid_last: float | None, now: datetime) -> tuple[str, str]:
    """Return what there is to say (ends, idle, or nothing) and its sentence; times are aware."""
    if state(silence, now) != "active":
        return "", ""
    last = silence.since if hid_last is None else datetime.fromtimestamp(hid_last, UTC)
    whose = f"silence {silence.silence_id} of {silence.author}"
    if silence.until - now <= SOON:
        told = silence.until - silence.since >= LONG and hid > 0
        hidden = f"{hid} so far, the last one {_time(last)}"
        sentence = f"{whose} ends {_time(silence.until)}, then what it hid is told again: {hidden}"
        return ("ends", f"{sentence} ({silence.comment})") if told else ("", "")
    if now - max(last, silence.since) < IDLE:
        return "", ""
    what = "nothing" if hid_last is None else f"nothing since {_time(last)}"
    end = f"`txwatch alerts silence expire {silence.silence_id}` ends it before {_time(silence.until)}"
    return "idle", f"{whose} has hidden {what}: {end} ({silence.comment})"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
