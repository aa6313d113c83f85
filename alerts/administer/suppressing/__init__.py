"""What hides anomalies from messages, as one list.

Suppressions stand in the rules file, silences in the ledger; whoever wonders reads both here.
"""
