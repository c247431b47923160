"""Rows seen red: each mutant is a defect put into a copy of the tree, and names the rows that must notice it.

A row that never failed proves nothing. `python -m tests.acceptance.mutants` shows for each row a defect that turns
it red.
"""
