"""The collector: from any source to the store, with nothing lost and nothing twice.

It decodes and validates every message against the schema, writes the good ones to the store, puts the
bad ones into quarantine with a reason, and only then commits its position.  A crash between the two
makes the same messages come again, and the store knows them by their identity.

It knows nothing of detection.
"""
