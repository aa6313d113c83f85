"""What administrators do with the rules, beside editing the file: put versions into force, and go back.

The versions are in the ledger, numbered; the newest is in force, and running detectors follow it.
"""
