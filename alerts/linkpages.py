"""The pages behind links: GET shows, and only POST does something, since mail scanners follow links."""

import html
from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec

from alerts.links import Invalid, Link, Links
from txwatch.errors import TxwatchError
from txwatch.model import Verdict

MOST_BYTES = 2000
NAME_LENGTH = 60
HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Robots-Tag", "noindex"),
]
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1a202c;background:#f4f5f7;margin:0;padding:24px}"
    "main{max-width:560px;margin:auto;background:#fff;border-radius:6px;padding:20px 24px}"
    "h1{font-size:20px;margin:0 0 12px}label{display:block;margin:8px 0}"
    "input[name=name]{font:inherit;padding:6px 8px;width:100%;box-sizing:border-box}"
    "button{font:inherit;padding:8px 16px;margin-top:12px;border:0;border-radius:4px;"
    "background:#1a56db;color:#fff}p{overflow-wrap:anywhere}"
)


class Acts(Protocol):
    """What links are about; raises TxwatchError with a sentence for the reader."""

    def about(self, link: Link) -> str:
        """Return what the link is about, in one line, with persons hidden."""

    def acknowledge(self, link: Link, actor: str) -> None:
        """Acknowledge the link's group."""

    def label(self, link: Link, actor: str, verdict: Verdict) -> None:
        """Label the link's anomaly."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    status: str
    title: str
    body: str


class LinkPages:
    """A WSGI application for one key; `seen` is told what came of each request."""

    def __init__(
        self, links: Links, acts: Acts, now: Callable[[], float], seen: Callable[[str], None]
    ) -> None:
        self._links, self._acts, self._now, self._seen = links, acts, now, seen

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        page = self.answer(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), _form(environ))
        text = _whole(page).encode()
        start(page.status, [*HEADERS, ("Content-Length", str(len(text)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]

    def answer(self, method: str, path: str, form: dict[str, str]) -> Page:
        """Return the page for a request."""
        link = self._links.read(path.rpartition("/")[2], self._now())
        if isinstance(link, Invalid):
            self._seen("refused")
            return _said(link.status, "Not valid", link.sentence)
        try:
            if method == "POST":
                return self._done(link, form)
            return self._asked(link) if method in {"GET", "HEAD"} else _refused("Only GET and POST.")
        except TxwatchError as error:
            self._seen("refused")
            return _said("409 Conflict", "Not done", f"{error}.")

    def _asked(self, link: Link) -> Page:
        self._seen("shown")
        about = html.escape(self._acts.about(link))
        title = "Acknowledge this group?" if link.act == "acknowledge" else "What was this anomaly?"
        choices = "" if link.act == "acknowledge" else "".join(_choice(verdict) for verdict in Verdict)
        name = f'<input name="name" required maxlength="{NAME_LENGTH}" autocomplete="name">'
        form = f'<form method="post">{choices}<label>Your name {name}</label><button>Confirm</button></form>'
        return Page(status="200 OK", title=title, body=f"<p>{about}</p>{form}")

    def _done(self, link: Link, form: dict[str, str]) -> Page:
        name = " ".join(form.get("name", "").split())
        if not name or len(name) > NAME_LENGTH or not name.isprintable():
            return _refused(f"Say who you are, in at most {NAME_LENGTH} characters.")
        actor = f"{name} (by the link for {link.recipient})"
        if link.act == "acknowledge":
            self._acts.acknowledge(link, actor)
            self._seen("acted")
            return _said("200 OK", "Acknowledged", f"Group {link.subject} is acknowledged by {name}.")
        if form.get("verdict") not in set(Verdict):
            return _refused(f"Choose one of {', '.join(Verdict)}.")
        verdict = Verdict(form["verdict"])
        self._acts.label(link, actor, verdict)
        self._seen("acted")
        return _said("200 OK", "Labelled", f"Anomaly {link.subject} is labelled {verdict} by {name}.")


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    length = environ.get("CONTENT_LENGTH") or "0"
    if environ["REQUEST_METHOD"] != "POST" or not length.isdecimal() or int(length) > MOST_BYTES:
        return {}
    body = environ["wsgi.input"].read(int(length)).decode(errors="replace")
    return {name: values[0] for name, values in parse_qs(body, max_num_fields=10).items()}


def _choice(verdict: Verdict) -> str:
    return f'<label><input type="radio" name="verdict" value="{verdict}" required> {verdict}</label>'


def _refused(sentence: str) -> Page:
    return _said("400 Bad Request", "Not done", sentence)


def _said(status: str, title: str, sentence: str) -> Page:
    return Page(status=status, title=title, body=f"<p>{html.escape(sentence)}</p>")


def _whole(page: Page) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{page.title} · txwatch</title><style>{_STYLE}</style>"
        f"<main><h1>{page.title}</h1>{page.body}</main></html>"
    )
