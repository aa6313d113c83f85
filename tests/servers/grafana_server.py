"""A Grafana of our own, started from a built one, with the files of `provisioning/` as they are."""

import base64
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import urllib3
from launchers import ChildProcess, free_ports
from running_server import RunningServer

from grafana.build import MOUNTED

PROVISIONING = Path(__file__).parents[2] / "provisioning"
PASSWORD = "only-here"
SWITCHES = {
    "GF_ALERTING_ENABLED": "false",
    "GF_UNIFIED_ALERTING_ENABLED": "true",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
}


class GrafanaServer(RunningServer):
    """It listens on loopback; `call` asks its HTTP API as its administrator."""

    def __init__(self, home: Path, folder: Path, environment: dict[str, str]) -> None:
        """`home` has a built Grafana, `folder` takes its data; it reads its own copy of `provisioning/`."""
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        places = {
            "GF_PATHS_DATA": folder / "data",
            "GF_PATHS_LOGS": folder / "logs",
            "GF_PATHS_PLUGINS": folder / "plugins",
            "GF_PATHS_PROVISIONING": _provisioning(folder),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": port,
            "GF_SERVER_ROOT_URL": f"{self.url}/",
        }
        own = {name: str(value) for name, value in places.items()}
        command = [str(home / "bin/grafana-server"), "--homepath", str(home)]
        launcher = ChildProcess(command, folder / "grafana.log", SWITCHES | own | environment)
        super().__init__("Grafana", launcher, self._healthy)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer; raises AssertionError when it is none of success."""
        secret = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        answer = urllib3.request(
            method,
            self.url + path,
            body=json.dumps(body) if body is not None else None,
            headers={"Authorization": f"Basic {secret}", "Content-Type": "application/json", **headers},
        )
        assert answer.status < 300, f"{path}: {answer.status} {answer.data.decode()}"
        return answer.json()

    def _healthy(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/api/health", timeout=2) as answer:
            return answer.status == 200


def _provisioning(folder: Path) -> Path:
    """Return a copy in which the files lie where they are looked for without a container."""
    copied = shutil.copytree(PROVISIONING, folder / "provisioning")
    providers = copied / "dashboards/operations.yaml"
    providers.write_text(providers.read_text().replace(MOUNTED, str(copied)))
    return copied
