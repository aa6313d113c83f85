"""A real SMTP server on loopback that keeps what it is given: TLS, STARTTLS, login."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from private_authority import Authority

from alerts.mail import MailServer


class Kept:
    """The messages; `refuse` is what the server answers to the next ones instead of taking them."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refuse = ""

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        """Keep one message, or refuse it."""
        if self.refuse:
            return self.refuse
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def allowed(server, session, envelope, mechanism, data) -> AuthResult:
    """Let in who knows the password."""
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"watch", b"secret")
    return AuthResult(success=known, handled=False)


@contextmanager
def mail_server(authority: Authority, security: str) -> Iterator[tuple[Kept, MailServer]]:
    """Yield what was kept, and how to reach the server."""
    kept, context = Kept(), authority.server_context()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    encryption = {"ssl_context": context} if security == "tls" else {}
    encryption = {"tls_context": context, "require_starttls": True} if security == "starttls" else encryption
    login = {"authenticator": allowed, "auth_required": True, "auth_require_tls": security == "starttls"}
    controller = Controller(kept, hostname="127.0.0.1", port=port, **encryption, **login)
    controller.start()
    try:
        yield (
            kept,
            MailServer(
                host="127.0.0.1",
                port=port,
                security=security,
                user="watch",
                password="secret",
                sender="txwatch@example.org",
                certificates=authority.ca,
            ),
        )
    finally:
        controller.stop()
