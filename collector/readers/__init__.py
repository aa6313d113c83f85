"""Reading one file in chunks: every record of it comes out as a transaction or a rejection, in order.

CSV, JSON Lines (both also as .gz) and Parquet.  Memory holds one chunk, whatever the size of the file or
of a line in it.  Records are numbered from 0; a corrupt line is one rejected record and the rest goes on.
Where the same number is read again, from the beginning or from a position, it is the same record.
"""
