"""How groups and silences are printed: persons are pseudonyms, unless the route is cleared for ids."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from alerts.calendar import Times
from alerts.groups import Group, anomaly_of
from alerts.matching import Match
from alerts.notice import Hide, hidden_label, hidden_name, hiding_of
from alerts.policy import AlertSettings
from alerts.routes import every_way, filled_in
from alerts.silences import Silence
from txwatch.errors import ConfigurationError
from txwatch.model import Severity
from txwatch.pseudonym import KEY, KINDS, Pseudonyms, pseudonyms_of

TIMES = "%Y-%m-%d %H:%M:%S"


class Shown:
    """Prints groups as those may see them who read the messages of their routes."""

    def __init__(self, settings: AlertSettings, environment: Mapping[str, str]) -> None:
        ways = () if settings.route is None else every_way(filled_in(settings.route))
        self._cleared = {way.name for way in ways if way.raw_ids}
        self._environment = environment

    def line(self, group: Group) -> str:
        """Return a group in one line."""
        hide = self.hide(group)
        labels = " ".join(f"{key}={hidden_label(key, value, hide)}" for key, value in group.labels)
        status = "over" if not group.open else f"acknowledged by {group.acknowledged_by}"
        status = "open" if group.open and not group.acknowledged_by else status
        about = f"{group.group_id} {Severity(group.severity).word:8} {group.members:5} {when(group.last_at)}"
        return f"{about} {group.route}: {labels} ({status})"

    def details(self, group: Group) -> Iterator[str]:
        """Yield who is concerned, and the worst anomalies with their reasons."""
        hide = self.hide(group)
        for entity, count in sorted(group.entities.items(), key=lambda item: -item[1]):
            yield f"  {hidden_name(entity, hide)}: {count}"
        for anomaly in (hide(anomaly_of(sample)) for sample in group.samples):
            for reason in anomaly.reasons:
                yield f"  {anomaly.severity.word:8} {anomaly.anomaly_id} {reason.sentence}"

    def as_json(self, group: Group) -> str:
        """Return a group as one JSON object."""
        hide = self.hide(group)
        facts = msgspec.structs.asdict(group)
        facts["labels"] = [(key, hidden_label(key, value, hide)) for key, value in group.labels]
        facts["entities"] = {hidden_name(entity, hide): count for entity, count in group.entities.items()}
        facts["samples"] = [hide(anomaly_of(sample)) for sample in group.samples]
        return msgspec.json.encode(facts).decode()

    def hide(self, group: Group) -> Hide:
        """Return what hides persons of a group; raises ConfigurationError where that needs a key."""
        raw_ids = group.route in self._cleared
        return hiding_of(None if raw_ids else self._pseudonyms(), raw_ids=raw_ids)

    def _pseudonyms(self) -> Pseudonyms:
        found = pseudonyms_of(self._environment)
        if found is None:
            raise ConfigurationError(f"persons are shown as pseudonyms, and {KEY} is not set")
        return found


def silence_line(silence: Silence, state: str, environment: Mapping[str, str]) -> str:
    """Return a silence in one line."""
    about = f"{silence.silence_id} {state:7} until {silence_end(silence)} {silence.author}"
    return f"{about}: {silence.comment} ({', '.join(conditions(silence.match, environment))})"


def silence_end(silence: Silence) -> str:
    """Return when a silence ends."""
    return f"{silence.until.astimezone(UTC).strftime(TIMES)} UTC"


def when(at: float) -> str:
    """Return a time in seconds since 1970 as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime(TIMES)


def conditions(match: Match, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the conditions of a match; persons are shown by their pseudonym."""
    for name, value in msgspec.structs.asdict(match).items():
        if value and name == "user":
            yield f"user {' or '.join(_users(value, environment))}"
        elif isinstance(value, tuple) and value:
            yield f"{name} {' or '.join(value)}"
        elif isinstance(value, float):
            yield f"{name} {value:g}"
        elif isinstance(value, Times):
            yield f"times {' '.join(value.days) or 'every day'} {value.since}-{value.until} {value.zone}"


def _users(names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    pseudonym = pseudonyms_of(environment)
    hidden = f"{KINDS['user_id']}-"
    return [
        name if pseudonym is None or name.startswith(hidden) else pseudonym("user_id", name) for name in names
    ]
