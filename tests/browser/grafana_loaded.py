"""A real Grafana, loaded over its HTTP API: an organisation for each audience, with one who may only view."""

import base64
import json
import secrets
from typing import Any

import urllib3

from grafana.audience import AUDIENCES, Audience
from grafana.build import files
from grafana.datasources import datasources

HTTP = urllib3.PoolManager(retries=False)


class LoadedGrafana:
    """Where it is, and who may log in: `people` has a name and a password for each audience."""

    def __init__(self, url: str, administrator: str) -> None:
        """`administrator` is USER:PASSWORD of Grafana's own administrator."""
        self.url = url.rstrip("/")
        self._basic = base64.b64encode(administrator.encode()).decode()
        self.people: dict[str, tuple[str, str]] = {}

    def load(self, influx: str, org: str, tokens: dict[str, str]) -> None:
        """Make organisations, data sources, dashboards and people."""
        for audience in AUDIENCES:
            number = self._call("POST", "/api/orgs", {"name": f"{audience.name}-{secrets.token_hex(4)}"})[
                "orgId"
            ]
            for source in datasources(audience, url=influx, token=tokens[audience.role], org=org):
                self._call("POST", "/api/datasources", source, number)
            for path, text in files().items():
                if path.startswith(f"dashboards/{audience.name}/"):
                    self._call("POST", "/api/dashboards/db", {"dashboard": json.loads(text)}, number)
            self.people[audience.name] = self._person(audience, number)

    def _person(self, audience: Audience, number: int) -> tuple[str, str]:
        name, password = f"{audience.name}-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        person = {"name": name, "login": name, "password": password, "OrgId": number}
        made = self._call("POST", "/api/admin/users", person)["id"]
        self._call("PATCH", f"/api/orgs/{number}/users/{made}", {"role": "Viewer"})
        return name, password

    def _call(self, method: str, path: str, body: dict[str, Any], org: int | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/json"}
        if org is not None:
            headers["X-Grafana-Org-Id"] = str(org)
        answer = HTTP.request(method, self.url + path, body=json.dumps(body), headers=headers)
        assert answer.status == 200, f"{path}: {answer.status} {answer.data.decode()}"
        return dict(answer.json())
