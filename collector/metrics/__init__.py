"""Derived metrics: what the traffic was per 10 seconds and per minute of event time.

Counts, totals, declined share, distinct users, amounts at the median and the 95th percentile, and ingest
lag, for everything and by channel, country, status and busy merchant, one set of windows a partition.

A window in the store says up to which sequence its partition is counted (`through`).  So the store alone
knows what is counted: a restart, a crash between two writes, a second instance or a late transaction all
go on from there, and no transaction is counted twice or forgotten.  Sketches make estimates of distinct
users and of percentiles add up over partitions and windows (`merging`).
"""
