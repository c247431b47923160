"""All mutants, from the operator down to the informers."""

from __future__ import annotations

from . import of_cache, of_declared, of_operator, of_rights

MUTANTS = (*of_operator.MUTANTS, *of_rights.MUTANTS, *of_cache.MUTANTS, *of_declared.MUTANTS)
