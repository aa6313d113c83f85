"""Who is told when: grouping, repeating, and when what is not urgent waits for the morning."""

from typing import Any

from grafana.alerting.contact import ON_CALL, TEAM

Json = dict[str, Any]

OFF_HOURS = "nights and weekends"

ONE_MESSAGE = ["grafana_folder", "alertname"]
"""Alerts of one rule go in one message, however many services, topics or countries it is about."""


def mute_timings() -> list[Json]:
    """Return when nobody is to be bothered with what can wait (UTC)."""
    nights = {
        "times": [
            {"start_time": "18:00", "end_time": "24:00"},
            {"start_time": "00:00", "end_time": "07:00"},
        ],
        "weekdays": ["monday:friday"],
    }
    return [{"orgId": 1, "name": OFF_HOURS, "time_intervals": [nights, {"weekdays": ["saturday", "sunday"]}]}]


def policies() -> list[Json]:
    """Return the tree: on-call unless a rule says that it can wait."""
    can_wait = {
        "receiver": TEAM,
        "object_matchers": [["urgency", "=", "look"]],
        "group_by": ONE_MESSAGE,
        "mute_time_intervals": [OFF_HOURS],
        "repeat_interval": "1d",
    }
    root = {
        "orgId": 1,
        "receiver": ON_CALL,
        "group_by": ONE_MESSAGE,
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "2h",
        "routes": [can_wait],
    }
    return [root]
