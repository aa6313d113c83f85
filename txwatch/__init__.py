"""txwatch: the core that every room stands on.

Here are the words (`model`), the columns in which batches travel (`columns`), the interfaces
(`ports`), the errors, the settings, the clock, the stores and the ledger.  Nothing here knows how
transactions arrive, how anomalies are found, or who is told about them.

The rooms (`collector`, `detectors`, `alerts`, `grafana`) import the core and never each other; only
the command line (`txwatch.cli`) knows them all.
"""

__version__ = "0.1.0"
