"""The store for production: InfluxDB 2.

`InfluxStore` implements `txwatch.ports.Store`; `setup.initialise` makes buckets and tokens.  Data goes as
line protocol built a column at a time and comes back as raw CSV, because a client that handles one point at
a time is several times slower; influxdb-client does the administration.

Needs the extra `influx` (influxdb-client, and urllib3 with it).  What InfluxDB cannot do is written where
it matters: there are no transactions, so every write is one that may be repeated; equal points overwrite
each other silently, so every record has an identity; an error inside an answer may come with status 200.
"""
