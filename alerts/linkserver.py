"""Serves the pages behind links from threads of its own, beside the notifier."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from alerts.acknowledging import acknowledge
from alerts.administer.opened import needed_group
from alerts.administer.showing import Shown
from alerts.linkpages import LinkPages
from alerts.links import Link, Links
from alerts.pagerback import PATH, PagerBack
from alerts.policy import AlertSettings
from txwatch.errors import UsageError
from txwatch.ledger import Ledger
from txwatch.model import AnomalyLabel, Verdict
from txwatch.ports import Clock, Health, Progress

TIMEOUT_SECONDS = 10


class LedgerActs:
    """Does what links allow, in the ledger; one request at a time."""

    def __init__(
        self, ledger: Ledger, clock: Clock, settings: AlertSettings, environment: Mapping[str, str]
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._shown, self._lock = Shown(settings, environment), threading.Lock()

    def about(self, link: Link) -> str:
        """See `linkpages.Acts.about`."""
        if link.act == "label":
            return f"Anomaly {link.subject}"
        with self._lock:
            group = needed_group(self._ledger.alerts(), link.subject)
        if not group.open:
            raise UsageError(f"group {link.subject} is over already")
        return self._shown.line(group)

    def acknowledge(self, link: Link, actor: str) -> None:
        """See `linkpages.Acts.acknowledge`."""
        with self._lock:
            acknowledge(self._ledger.alerts(), link.subject, actor, self._clock.now().timestamp())

    def acknowledge_group(self, group_id: str, actor: str) -> None:
        """See `pagerback.Acknowledging.acknowledge_group`."""
        with self._lock:
            book = self._ledger.alerts()
            if not needed_group(book, group_id).acknowledged_by:
                acknowledge(book, group_id, actor, self._clock.now().timestamp())

    def label(self, link: Link, actor: str, verdict: Verdict) -> None:
        """See `linkpages.Acts.label`."""
        given = AnomalyLabel(
            anomaly_id=link.subject, transaction_id=link.transaction_id, verdict=verdict, by=actor
        )
        with self._lock:
            self._ledger.label(given)


class LinkService:
    """The endpoint as a service; it has a connection to the ledger of its own and closes it."""

    name = "links"

    def __init__(
        self,
        links: Links,
        acts: LedgerActs,
        ledger: Ledger,
        clock: Clock,
        at: tuple[str, int],
        pagerduty_secret: str = "",
    ) -> None:
        """Without a secret nothing is listened to that PagerDuty tells."""
        self._ledger, self._seen = ledger, Counter[str]()
        pages = LinkPages(links, acts, lambda: clock.now().timestamp(), self._count)
        back = PagerBack(pagerduty_secret, acts, self._count) if pagerduty_secret else None
        try:
            self._server = make_server(*at, _Paths(pages, back), _Server, _Handler)
        except OSError as error:
            ledger.close()
            raise UsageError(f"cannot listen on {at[0]}:{at[1]}: {error.strerror}") from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="links", daemon=True)
        self._thread.start()

    def step(self) -> Progress:
        """Nothing is to be done in turn: requests have their own threads."""
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return what came of the requests."""
        seen = {word: float(self._seen[word]) for word in ("shown", "acted", "refused")}
        told = ", ".join(f"{count:.0f} {word}" for word, count in seen.items())
        figures = {f"{word}_total": count for word, count in seen.items()}
        return Health(name=self.name, state="ok", sentence=f"links: {told}", figures=figures)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._ledger.close()

    def _count(self, word: str) -> None:
        self._seen[word] += 1


class _Paths:
    """A WSGI application of two: what comes for PagerDuty's path, and everything else."""

    def __init__(self, pages: LinkPages, back: PagerBack | None) -> None:
        self._pages, self._back = pages, back

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if self._back is not None and environ.get("PATH_INFO", "").rstrip("/").endswith(PATH):
            return self._back(environ, start)
        return self._pages(environ, start)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: addresses here are secrets."""
