"""What files cannot bring into a running Grafana: organisations, people, rights, and all that lies in them.

`applying.apply` makes whatever is missing or differs and leaves the rest; done twice, nothing changes the
second time.  Each thing is one sentence in a `Work`, so that a dry run and a comparison are the same walk
without the changes.  What Grafana loaded from `provisioning/` is left alone.
"""
