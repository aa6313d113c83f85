"""Slack by an incoming webhook: it only posts, so a group that changes is a message more.

Guarantee: at least once; what was not answered counts as unanswered.
"""

import msgspec

from alerts.notice import Notice, headline
from alerts.posting import post
from alerts.sending import Delivered, Failed
from alerts.slack import blocks, escaped


class SlackHookSender:
    """Posts to the channel that the webhook belongs to; its address is a secret."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Post the message."""
        del key, reference  # a webhook neither knows a message again nor changes one
        body = msgspec.json.encode({"text": escaped(headline(notice)), "blocks": blocks(notice)})
        answer = post(self._url, body, {"Content-Type": "application/json"})
        return answer if isinstance(answer, Failed) else Delivered(answer="posted")
