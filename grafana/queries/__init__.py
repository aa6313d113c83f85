"""What dashboards ask the store, by what it is about; each function returns a `Query` of the panels.

Flux where few points are filtered, joined or grouped by their values; InfluxQL where rows are many
(`docs/entities.md` says which bucket answers which question).
"""
