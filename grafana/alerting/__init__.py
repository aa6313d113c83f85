"""Alert rules as code: what txwatch cannot say about itself, and counts that administrators edit.

`watching.RULES` are provisioned by file and read-only in Grafana: they watch txwatch from outside.
`counting.RULES` are the second path beside the notifier of `alerts/`: counts of urgent anomalies, installed
over the HTTP API and from then on edited in Grafana.  `contact` says by which way people are told and in
which words, `policy` who is told when.
"""
