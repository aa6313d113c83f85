# mypy: disable-error-code="no-untyped-call"
# Reason: grafana-client carries no types.
"""A running Grafana as its administrator reaches it: one client for each organisation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError

from txwatch.errors import PeerError, UsageError

TIMEOUT_SECONDS = 30.0

Json = dict[str, Any]


class Server:
    """Grafana at an address, with the name and password of its administrator.

    Everything asked of it within `answering` that fails is a PeerError of one sentence.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        """Raises UsageError where the address is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"{url!r} is no address of a Grafana; it starts with http:// or https://")
        self.url = url.rstrip("/")
        self._parts, self._credential = parts, (user, password)
        self._clients: dict[int | None, GrafanaApi] = {}

    def within(self, organisation: int | None = None) -> GrafanaApi:
        """Return the client that speaks of one organisation; without its number, of the whole server."""
        if organisation not in self._clients:
            prefix = self._parts.path.strip("/")
            self._clients[organisation] = GrafanaApi(
                self._credential,
                protocol=self._parts.scheme,
                host=self._parts.hostname,
                port=self._parts.port,
                url_path_prefix=f"{prefix}/" if prefix else "",
                timeout=TIMEOUT_SECONDS,
                organization_id=organisation,
            )
        return self._clients[organisation]

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Raise PeerError in place of what the client raises."""
        try:
            yield
        except GrafanaUnauthorizedError as error:
            advice = "is GRAFANA_ADMIN_PASSWORD its administrator's password?"
            raise PeerError(f"Grafana at {self.url} does not let us in: {advice}") from error
        except GrafanaException as error:
            raise PeerError(f"Grafana at {self.url} refuses: {error.message}") from error
        except requests.RequestException as error:
            raise PeerError(f"Grafana at {self.url} does not answer: {type(error).__name__}") from error


def found(ask: Callable[[], Any]) -> Any:
    """Return the answer, None where Grafana knows nothing of that name."""
    try:
        return ask()
    except GrafanaClientError as error:
        if error.status_code != HTTPStatus.NOT_FOUND:
            raise
        return None
