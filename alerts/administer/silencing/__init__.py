"""The commands under `txwatch alerts silence`.

Notifiers heed a change from their next step on.
"""
