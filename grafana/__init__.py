"""Grafana as code: the dashboards, alert rules and access that `provisioning/` is written from.

`txwatch grafana build` writes the files; `build.files` says which there are.  A dashboard is one file in
`dashboards/`, made of the typed builders in `panels/`, once for each organisation of `audience`.

Nothing here imports the detectors: the two meet in what is stored.
"""
