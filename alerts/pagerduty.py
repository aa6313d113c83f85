"""PagerDuty, by its Events API v2: a group is an incident that is triggered, acknowledged, resolved.

Guarantee: an incident a group, however often it is sent: its deduplication key is the group's id.
"""

from typing import Any

import msgspec

from alerts.notice import Notice, counted, headline
from alerts.posting import post, taken
from alerts.sending import Delivered, Failed

EVENTS = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_LENGTH = 1024
_SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_ACTIONS = {"acknowledged": "acknowledge", "withdrawn": "resolve", "resolved": "resolve"}


class PagerDutySender:
    """Sends events for one service, by its integration (routing) key."""

    def __init__(self, routing_key: str, address: str = EVENTS) -> None:
        self._routing_key, self._address = routing_key, address

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Send the event; the digest of a day pages nobody."""
        del key, reference  # the incident is found by the group's id
        if notice.kind == "daily":
            return Delivered(answer="a daily digest pages nobody")
        body = msgspec.json.encode({"routing_key": self._routing_key, **event(notice)})
        return taken(post(self._address, body, {"Content-Type": "application/json"}))


def event(notice: Notice) -> dict[str, Any]:
    """Return the event without its routing key."""
    action = _ACTIONS.get(notice.kind, "trigger")
    dedup = {"event_action": action, "dedup_key": notice.group_id}
    return dedup if action != "trigger" else {**dedup, **_triggered(notice)}


def _triggered(notice: Notice) -> dict[str, Any]:
    reasons = [f"{found.entity}: {reason}" for found in notice.found for reason in found.reasons]
    return {
        "client": "txwatch",
        "payload": {
            "summary": headline(notice)[:SUMMARY_LENGTH],
            "source": "txwatch",
            "severity": _SEVERITIES[notice.severity],
            "timestamp": notice.told_at.isoformat(),
            "component": notice.route,
            "class": notice.kind,
            "custom_details": {"reasons": reasons, "about": counted(notice), "why": notice.why},
        },
        "links": [
            {"href": found.link, "text": f"{found.severity} {found.entity}"}
            for found in notice.found
            if found.link
        ],
    }
