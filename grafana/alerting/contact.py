"""Whom Grafana tells, and in which words: contact points and message templates.

Addresses and secrets are names of variables in Grafana's environment, never values.
"""

from typing import Any

Json = dict[str, Any]

ON_CALL = "on-call"
TEAM = "team"

TEMPLATE = "txwatch"
SUBJECT = '{{ template "txwatch.subject" . }}'
MESSAGE = '{{ template "txwatch.message" . }}'
WORDS = """\
{{ define "txwatch.subject" -}}
{{ if gt (len .Alerts.Firing) 0 }}FIRING{{ else }}over{{ end }}: {{ .CommonLabels.alertname -}}
{{ if gt (len .Alerts) 1 }} ({{ len .Alerts }}){{ end }}
{{- end }}

{{ define "txwatch.message" -}}
{{ range .Alerts }}{{ template "txwatch.one" . }}
{{ end }}{{ end }}

{{ define "txwatch.one" -}}
{{ if eq .Status "firing" -}}
{{ .Annotations.summary }}
Next: {{ .Annotations.advice }}
{{- else -}}
Over: {{ .Labels.alertname }}, until {{ .EndsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}
{{- end }}
Since: {{ .StartsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}
{{- if .DashboardURL }}
Look: {{ .DashboardURL }}{{ if match "[?]" .DashboardURL }}&{{ else }}?{{ end -}}
from={{ (.StartsAt.Add -3600000000000).UnixMilli }}&to=
{{- if eq .Status "firing" }}now{{ else }}{{ .EndsAt.UnixMilli }}{{ end }}{{ .Annotations.filters }}
{{- end }}
{{- if eq .Status "firing" }}
Silence: {{ .SilenceURL }}
{{- end }}
{{ end }}
"""
"""Go templates in the words of Alertmanager, with what Grafana adds to an alert.

A link shows its page from an hour (in nanoseconds) before the alert began.
"""


def templates() -> list[Json]:
    """Return the message templates."""
    return [{"orgId": 1, "name": TEMPLATE, "template": WORDS}]


def contact_points() -> list[Json]:
    """Return who is called (`on-call`: Slack and e-mail) and who reads it in the morning (`team`: e-mail)."""
    return [
        {
            "orgId": 1,
            "name": ON_CALL,
            "receivers": [_mail("txwatch-on-call-mail"), _slack("txwatch-on-call-slack")],
        },
        {"orgId": 1, "name": TEAM, "receivers": [_mail("txwatch-team-mail")]},
    ]


def _mail(uid: str) -> Json:
    settings = {
        "addresses": "$TXWATCH_GRAFANA_MAIL_TO",
        "singleEmail": True,
        "subject": SUBJECT,
        "message": MESSAGE,
    }
    return {"uid": uid, "type": "email", "settings": settings}


def _slack(uid: str) -> Json:
    settings = {
        "recipient": "$TXWATCH_GRAFANA_SLACK_CHANNEL",
        "token": "$TXWATCH_GRAFANA_SLACK_TOKEN",
        "endpointUrl": "$TXWATCH_GRAFANA_SLACK_ENDPOINT",
        "username": "txwatch",
        "title": SUBJECT,
        "text": MESSAGE,
    }
    return {"uid": uid, "type": "slack", "settings": settings}
