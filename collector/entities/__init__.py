"""Entities in a store that cannot find one among all rows: users' transactions, merchants' hours.

InfluxDB has no index on fields, and ids must not be tags.  So this service reads the feed and writes each
transaction once more where the rows of its user lie together, and sums of each merchant's hours, so that
the page of one user or one merchant over a month reads thousands of rows and not hundreds of millions.

It stands beside the collector's way and not in it: a burst makes it late, never the feed.
"""
