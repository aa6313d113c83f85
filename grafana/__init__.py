"""Grafana as code: the dashboards, alert rules and access that `provisioning/` is written from.

The first data source is provisioned by file; dashboards follow with the InfluxDB store.

Nothing here imports the detectors: the two meet in what is stored.
"""
