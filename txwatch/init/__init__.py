"""`txwatch init`: what a production installation needs before its first start.

It writes the secrets into `.env` and makes the buckets and tokens in InfluxDB.  Nothing that is there is
overwritten, so it may be run again at any time: after an upgrade, a new role, or a changed retention.
"""
