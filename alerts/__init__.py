"""Alerts: which anomalies reach whom.

A policy decides, a channel delivers; the queue of discovered anomalies in the ledger makes sure that
none is missed.  For now the policy is a minimum severity and the channels are the console and a file.

Nothing here knows how an anomaly was found.
"""
