"""Fitted models of running detectors: what people may ask of them, and how two compare.

How a model comes to be, and whether it is no worse than the one before, is in `detectors.isolation` and
`detectors.heldback`; what became of each is in the ledger (`txwatch.registry` has the words).
"""
