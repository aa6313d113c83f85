"""What people look at besides Grafana: the live terminal, lists and explanations, the report.

All of it renders values that others collected; nothing here reads a store or knows a room, so every
view can be tested with made-up values.
"""
