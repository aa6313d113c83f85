"""Rehearsals: which way an anomaly would go, and whether a channel takes a message.

Nothing here changes a group or the outbox.
"""
