"""Rules: what administrators write in `rules.yaml`, checked before it counts and evaluated in bulk.

A rule is a SQL predicate over the published columns and the features that the file declares.  `sql` reads
predicates against an allow-list, `expressions` turns them into polars expressions, `windows` keeps the
declared features, `book` puts it together for the engine, `check` finds everything wrong with a file.

Adding an operator or function is a line in `operators.OPERATORS`; a kind of feature a line in
`aggregates.AGGREGATES`; a check a function in `check.CHECKS`.
"""
