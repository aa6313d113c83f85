"""Runs the tasks that setting up installed, as InfluxDB does on their schedules."""

import time

from influx_fixtures import InfluxStores
from influxdb_client import InfluxDBClient


class Tasks:
    """The tasks of one organisation."""

    def __init__(self, stores: InfluxStores) -> None:
        self.client = InfluxDBClient(stores.server.url, stores.server.token, org=stores.org)
        (organisation,) = self.client.organizations_api().find_organizations(org=stores.org)
        self.api = self.client.tasks_api()
        self.by_name = {task.name: task for task in self.api.find_tasks(org_id=organisation.id)}

    def run(self, name: str) -> None:
        """Run one, and wait until it has succeeded."""
        task = self.by_name[f"txwatch {name}"]
        run = self.api.run_manually(task.id)
        while not (ended := [r for r in self.api.get_runs(task.id) if r.id == run.id and r.finished_at]):
            time.sleep(0.05)
        assert ended[0].status == "success", [entry.message for entry in ended[0].log]
