"""Typed builders of Grafana's JSON model: queries, panels, variables, a page.

They write what Grafana 9.3 and later releases load alike (schema version 37).  Every panel has a help
text, a unit and an expectation of the columns its queries return, which the tests hold it to.
"""
