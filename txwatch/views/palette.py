"""The colours of severities, the same in the terminal and in the report."""

SEVERITY = {"low": "#5b8def", "medium": "#d9a400", "high": "#ef7d22", "critical": "#d9304f"}
STATE = {"ok": "green", "degraded": "yellow", "failed": "red"}
