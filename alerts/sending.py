"""What a channel is to the outbox: it takes a notice, and says what became of it as a value."""

from typing import Protocol

import msgspec

from alerts.notice import Notice


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The channel has it; `reference` is its name for the message, for changing it later."""

    reference: str = ""
    answer: str = "delivered"


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The channel does not have it, or nobody knows (`unanswered`)."""

    sentence: str
    retryable: bool = True
    wait: float | None = None
    """Seconds the channel asks to wait."""
    unanswered: bool = False


class Sender(Protocol):
    """Delivers to one channel; called by several threads, one call a notice; never raises for the network."""

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Deliver; `key` is the same at every try, `reference` that of the group's last message or empty."""
