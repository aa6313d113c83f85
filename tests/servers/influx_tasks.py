"""Runs the tasks that setting up installed, as InfluxDB does on their schedules."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from influx_fixtures import InfluxStores
from influxdb_client import InfluxDBClient, TaskUpdateRequest

from txwatch.stores.influx.rollups import base_name


class Tasks:
    """The tasks of one organisation."""

    def __init__(self, stores: InfluxStores) -> None:
        self.client = InfluxDBClient(stores.server.url, stores.server.token, org=stores.org)
        (organisation,) = self.client.organizations_api().find_organizations(org=stores.org)
        self.api = self.client.tasks_api()
        found = self.api.find_tasks(org_id=organisation.id)
        self.by_name = {base_name(task.name): task for task in found}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let InfluxDB run none meanwhile.

        One that succeeds while a past is being written looks only at what is written after that, by the
        clock of that past: nothing.
        """
        self._set("inactive")
        yield
        self._set("active")

    def _set(self, status: str) -> None:
        for task in self.by_name.values():
            self.api.update_task_request(task.id, TaskUpdateRequest(status=status))

    def run(self, name: str) -> None:
        """Run one, and wait until it has succeeded and tasks can see that."""
        task = self.by_name[f"txwatch {name}"]
        before = self._successes(task.id)
        run = self.api.run_manually(task.id)
        while not (ended := [r for r in self.api.get_runs(task.id) if r.id == run.id and r.finished_at]):
            time.sleep(0.05)
        assert ended[0].status == "success", [entry.message for entry in ended[0].log]
        while self._successes(task.id) == before:
            time.sleep(0.05)

    def _successes(self, task_id: str) -> int:
        """How many successful runs InfluxDB's own bucket names; it has them a moment after they ended."""
        runs = f"""from(bucket: "_tasks")
            |> range(start: -1h)
            |> filter(fn: (r) => r.taskID == "{task_id}" and r.status == "success" and r._field == "name")"""
        return sum(len(table.records) for table in self.client.query_api().query(runs))
