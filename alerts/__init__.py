"""Alerts: which anomalies reach whom.

A policy decides, a channel delivers; the queue of discovered anomalies in the ledger makes sure that
none is missed.  The console and a file take every anomaly above a severity (`service`); where `rules.yaml`
has routes, anomalies are grouped and told by Slack and e-mail, through an outbox (`notifier`).

Nothing here knows how an anomaly was found.
"""
