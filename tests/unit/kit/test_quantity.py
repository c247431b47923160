"""Amounts, as the API writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.kit import quantity, quantity_text


def test_quantities_add_up_and_compare() -> None:
    used = sum((quantity(text) for text in ("500m", "1", "1500m")), Decimal())

    assert (used, used == quantity("3"), quantity("1Gi") > quantity("1G")) == (Decimal(3), True, True)


@pytest.mark.parametrize("text", ["", "x", "1Zi", "nan", "inf", True, None])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(Decimal("1.5"), "1500m"), (8, "8"), (0, "0"), (16 * 2**30, "16Gi"), (1000, "1k"), (Decimal("1e-9"), "1n")],
)
def test_an_amount_is_written_as_the_API_does(amount: Decimal | int, text: str) -> None:
    assert quantity_text(amount) == text.replace("1k", "1000")


@given(st.decimals(min_value=0, max_value=10**15, places=9))
def test_what_is_written_reads_as_the_same_amount(amount: Decimal) -> None:
    assert quantity(quantity_text(amount)) == amount
