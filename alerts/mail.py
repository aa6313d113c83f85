"""E-mail: one thread a group, as text and as HTML that says the same.

Guarantee: at least once.  A message has the same Message-ID at every try, by which mail programs know it
again; what broke off while the message was being handed over counts as unanswered.
"""

import html
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

import msgspec

from alerts.notice import Found, Notice, command, counted, title
from alerts.sending import Delivered, Failed

TIMEOUT_SECONDS = 20
_PERMANENT = 500
_COLOURS = {"critical": "#b3261e", "high": "#c25e00", "medium": "#8a6d00", "low": "#4a5568"}


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the SMTP server; `security` is how the connection is encrypted."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    sender: str = "txwatch@localhost"
    certificates: str = ""
    """File of the authorities to trust instead of the system's."""


class MailSender:
    """Sends to a list of addresses, one connection a message."""

    def __init__(self, to: tuple[str, ...], server: MailServer) -> None:
        self._to, self._server = to, server

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Hand the message over to the server."""
        del reference  # the thread follows from the group's id
        handing_over = False
        try:
            with _connected(self._server) as connection:
                handing_over = True
                refused = connection.send_message(message(notice, key, self._server.sender, self._to))
                handing_over = False
        except smtplib.SMTPResponseException as error:
            return _refusal(error.smtp_code, error.smtp_error)
        except smtplib.SMTPRecipientsRefused as error:
            return _refusal(*max(error.recipients.values()))
        except (smtplib.SMTPException, OSError) as error:
            return Failed(sentence=f"the mail server does not answer: {error}", unanswered=handing_over)
        return Delivered(answer=f"refused for {', '.join(refused)}" if refused else "accepted by the server")


def message(notice: Notice, key: str, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the e-mail: plain text first, HTML as the alternative; later ones refer to the group's first."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(to), f"[txwatch] {title(notice)}"
    mail["Date"] = format_datetime(notice.told_at)
    mail["Message-ID"] = f"<{key}@txwatch>"
    thread = f"<{notice.group_id}@txwatch>"
    mail["In-Reply-To"] = mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(notice))
    mail.add_alternative(as_html(notice), subtype="html")
    return mail


def as_text(notice: Notice) -> str:
    """Return the message as plain text."""
    parts = [title(notice), "", *notice.lines, *([""] if notice.lines else [])]
    for found in notice.found:
        parts += [f"{found.severity.upper()}  {found.entity}  {_facts(found)}"]
        parts += [f"  - {reason}" for reason in found.reasons]
        parts += [f"  {found.link}"] if found.link else []
        parts += [f"  Say what it was: {found.label_link}"] if found.label_link else []
        parts += [""]
    parts += [f"Acknowledge: {notice.acknowledge_link}", ""] if notice.acknowledge_link else []
    return "\n".join([*parts, *_about(notice)]) + "\n"


def as_html(notice: Notice) -> str:
    """Return the message as HTML without scripts, images or style sheets, as mail programs want it."""
    about = "<br>".join(html.escape(line) for line in _about(notice))
    colour = _COLOURS[notice.severity]
    return (
        '<!doctype html><html lang="en"><body style="margin:0;padding:24px;background:#f4f5f7;'
        'font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;color:#1a202c">'
        '<div style="max-width:640px;margin:auto;background:#fff;border-radius:6px;'
        f'border-top:4px solid {colour};padding:20px 24px">'
        f'<h1 style="font-size:18px;margin:0 0 16px">{html.escape(title(notice))}</h1>'
        f"{''.join(_line(line) for line in notice.lines)}"
        f"{''.join(_item(found) for found in notice.found)}"
        f"{_button(notice)}"
        f'<p style="font-size:12px;line-height:1.6;color:#4a5568;margin:16px 0 0">{about}</p>'
        "</div></body></html>"
    )


def _button(notice: Notice) -> str:
    if not notice.acknowledge_link:
        return ""
    style = "display:inline-block;background:#1a56db;color:#fff;padding:8px 16px;border-radius:4px"
    address = html.escape(notice.acknowledge_link)
    return f'<p><a href="{address}" style="{style};text-decoration:none">Acknowledge</a></p>'


def _line(line: str) -> str:
    return f'<p style="font-size:14px;margin:0 0 8px">{html.escape(line)}</p>'


def _item(found: Found) -> str:
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in found.reasons)
    links = {"Open the dashboard": found.link, "Say what it was": found.label_link}
    link = " · ".join(_link(address, words) for words, address in links.items() if address)
    return (
        '<div style="border-top:1px solid #e2e8f0;padding:12px 0;font-size:14px;line-height:1.5">'
        f'<b style="color:{_COLOURS[found.severity]}">{found.severity.upper()}</b> '
        f"<b>{html.escape(found.entity)}</b><br>"
        f'<span style="color:#4a5568">{html.escape(_facts(found))}</span>'
        f'<ul style="margin:6px 0;padding-left:20px">{reasons}</ul>{link}</div>'
    )


def _link(address: str, words: str) -> str:
    return f'<a href="{html.escape(address)}" style="color:#1a56db">{words}</a>'


def _facts(found: Found) -> str:
    return " · ".join(filter(None, (found.amount, _time(found.when), found.anomaly_id)))


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def _about(notice: Notice) -> list[str]:
    lines = [counted(notice)] if counted(notice) else []
    lines += [f"acknowledged by {notice.acknowledged_by}"] if notice.acknowledged_by else []
    lines += [f"route {notice.route}: {notice.why}", command(notice)]
    return lines


@contextmanager
def _connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context(cafile=server.certificates or None)
    if server.security == "tls":
        opened: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        opened = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    with opened as connection:
        if server.security == "starttls":
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password)
        yield connection


def _refusal(code: int, text: bytes | str) -> Failed:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Failed(sentence=f"the mail server refuses: {code} {said}", retryable=code < _PERMANENT)
