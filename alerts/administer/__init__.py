"""`txwatch alerts ...`: what on-call and administrators do with groups, silences and the outbox.

Every command works on the ledger alone, beside a running notifier, which heeds a change at its next step.
"""
