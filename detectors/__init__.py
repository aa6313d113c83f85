"""The detectors: from the feed to explained anomalies.

`engine` takes batches of transactions through features, methods, rules and severity in one pass, from
the past only, with constant state per entity; `service` reads the feed, writes anomalies back and
commits.  `series` does the same for windows of traffic.

Nothing here knows Kafka, Grafana or who is told about an anomaly.
"""
