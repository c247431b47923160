"""Every promise of the operator, checked from outside on a real control plane: `python -m tests.acceptance`.

Rows are data (`rows.py`): an id, a title, a limit and a function. They look at API objects and at the servers' audit
log; what the operator says of itself (logs, health, metrics) is secondary evidence.
"""
