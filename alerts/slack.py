"""Slack: one message a group, which changes when the group does.

Guarantee: at least once.  Slack has no idempotency key: a request that was not answered is sent again and
may stand there twice, which the outbox counts as unanswered; changing a message twice shows nothing.
"""

import http.client
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from alerts.notice import Found, Notice, command, counted, headline, title
from alerts.sending import Delivered, Failed

TIMEOUT_SECONDS = 10
HEADER_LENGTH = 150
SECTION_LENGTH = 3000
"""Block Kit's limits on the length of a header and of a section's text."""

_MARKS = {"critical": ":red_circle:", "high": ":large_orange_circle:", "medium": ":large_yellow_circle:"}
_PASSING = {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}


class SlackSender:
    """Posts and changes messages with a bot token (scope chat:write)."""

    def __init__(self, channels: tuple[str, ...], token: str, address: str) -> None:
        self._client = WebClient(token, base_url=address, timeout=TIMEOUT_SECONDS, retry_handlers=[])
        self._channel = channels[0]

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Post the group's message, or change it; what is worse or still open is posted in its thread."""
        del key
        content = {"text": _cut(escaped(headline(notice)), SECTION_LENGTH), "blocks": blocks(notice)}
        try:
            return self._deliver(notice, content, reference)
        except SlackApiError as error:
            return _refused(error)
        except ConnectionRefusedError as error:
            return Failed(sentence=f"Slack cannot be reached: {error}")
        except (SlackClientError, http.client.HTTPException, OSError) as error:
            unsent = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
            return Failed(sentence=f"Slack did not answer: {error}", unanswered=not unsent)

    def _deliver(self, notice: Notice, content: dict[str, Any], reference: str) -> Delivered:
        channel, _, ts = reference.partition(" ")
        if not ts:
            posted = self._client.chat_postMessage(channel=self._channel, unfurl_links=False, **content)
            return Delivered(reference=f"{posted['channel']} {posted['ts']}")
        if notice.kind in {"worse", "repeat", "escalated"}:
            self._client.chat_postMessage(channel=channel, thread_ts=ts, reply_broadcast=True, **content)
            return Delivered(answer="told in the thread and the channel")
        try:
            self._client.chat_update(channel=channel, ts=ts, **content)
        except SlackApiError as error:
            if error.response.get("error") in _GONE:
                return self._deliver(notice, content, "")
            raise
        if notice.kind in {"amended", "withdrawn"}:
            self._client.chat_postMessage(channel=channel, thread_ts=ts, **content)
            return Delivered(answer="message changed, the difference told in its thread")
        return Delivered(answer="message changed")


def blocks(notice: Notice) -> list[dict[str, Any]]:
    """Return the message in Block Kit: header, the worst anomalies with their links, who, why."""
    header = {"type": "plain_text", "text": _cut(title(notice), HEADER_LENGTH)}
    context = f"{counted(notice)}\nroute {notice.route}: {notice.why}".lstrip("\n")
    if notice.acknowledged_by:
        context += f"\nacknowledged by {notice.acknowledged_by}"
    return [
        {"type": "header", "text": header},
        *({"type": "section", "text": _text(escaped(line))} for line in notice.lines if line),
        *(_section(found) for found in notice.found),
        {"type": "context", "elements": [_text(escaped(context))]},
        {"type": "context", "elements": [_text(_how(notice))]},
    ]


def _section(found: Found) -> dict[str, Any]:
    head = f"{_MARKS.get(found.severity, ':white_circle:')} *{escaped(found.entity)}*"
    facts = " · ".join(filter(None, (found.amount, found.when.strftime("%Y-%m-%d %H:%M:%S UTC"))))
    reasons = "\n".join(f"• {escaped(reason)}" for reason in found.reasons)
    links = {"Open the dashboard": found.link, "Say what it was": found.label_link}
    link = " · ".join(f"<{address}|{words}>" for words, address in links.items() if address)
    link = f"\n{link}" if link else ""
    body = _cut(f"{head}  {escaped(facts)}\n{reasons}", SECTION_LENGTH - len(link))
    return {"type": "section", "text": {"type": "mrkdwn", "text": body + link}}


def _how(notice: Notice) -> str:
    link = f"<{notice.acknowledge_link}|Acknowledge> or " if notice.acknowledge_link else ""
    return f"{link}`{command(notice)}`"


def escaped(text: str) -> str:
    """Return text that Slack takes as text: its three control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": _cut(text, SECTION_LENGTH)}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _refused(error: SlackApiError) -> Failed:
    response: Any = error.response
    word = str(response.get("error", "no reason")) if hasattr(response, "get") else str(response)
    status = getattr(response, "status_code", 0)
    wait = getattr(response, "headers", {}).get("Retry-After")
    passing = word in _PASSING or status in {429, 500, 502, 503, 504}
    return Failed(
        sentence=f"Slack refuses: {word}", retryable=passing, wait=None if wait is None else float(wait)
    )
