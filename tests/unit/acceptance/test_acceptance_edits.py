"""Edits of mutants: they find what they name however it is written, and fail loudly where it is not there."""

from __future__ import annotations

from textwrap import dedent

import pytest
import yaml

from tests.acceptance.mutants.code_edits import (
    Argument,
    Body,
    CodeEdit,
    Constant,
    Result,
    Returns,
    Row,
    Statement,
    Swaps,
    Without,
)
from tests.acceptance.mutants.edit import NotApplied
from tests.acceptance.mutants.manifest_edits import GONE, Field

SHOP = '''
"""A shop."""

LIMIT: Final = 10
PRICES = {
    ("tea", "small"): 2,  # a comment
    ("tea", "large"): 3,
}


class Till:
    def open(self, key, *, hard=False):
        """Open it."""
        if self.lock.check(key):
            self.lock.release(key, hard=hard)
            self.bell.ring(1, loud=True)
        return self.drawer

    @property
    def total(self):
        def each(item):
            return item.price

        return sum(
            each(item) for item in self.items
        )

    async def close(self):
        try:
            await self.count()
        finally:
            self.lock.take()


class Safe:
    def open(self, key):
        return key
'''
OPEN = "the.shop:Till.open"


def after(edit: CodeEdit, code: str = SHOP) -> str:
    return edit.apply(code)


def body(text: str, name: str) -> str:
    """Return the lines of a function of the shop, as they are written anew."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if f"def {name}(" in line)
    indent = len(lines[start]) - len(lines[start].lstrip())
    rest = lines[start + 1 :]
    end = next((n for n, line in enumerate(rest) if line and len(line) - len(line.lstrip()) <= indent), len(rest))
    return dedent("\n".join(rest[:end])).strip()


# -- places ------------------------------------------------------------------------------------------------------------


def test_a_place_names_a_file():
    assert Returns("the.shop:Till.open", "1").file == "the/shop.py"


def test_functions_of_one_name_in_two_classes_are_two_places():
    made = after(Returns("the.shop:Safe.open", "None"))
    assert made.count("return self.drawer") == 1
    assert made.endswith("def open(self, key):\n        return None\n")


def test_a_function_within_a_function_has_a_name_of_its_own():
    assert "return 0\n        return sum(" in after(Returns("the.shop:Till.total.each", "0"))


@pytest.mark.parametrize("name", ["Till.shut", "Shop", "Till.open.each", "each", "DISCOUNT"])
def test_a_place_that_is_not_there_is_an_error(name: str):
    missing = name.rpartition(".")[2]
    with pytest.raises(NotApplied, match=rf"^the\.shop:{name}: {missing} is there 0 times, not once$"):
        after(Returns(f"the.shop:{name}", "1"))


def test_a_name_that_is_there_twice_is_an_error():
    with pytest.raises(NotApplied, match="LIMIT is there 2 times, not once"):
        after(Constant("the.shop:LIMIT", "1"), SHOP + "LIMIT = 2\n")


def test_a_function_is_no_constant_and_a_constant_no_function():
    with pytest.raises(NotApplied, match=r"the\.shop:Till\.open is no constant"):
        after(Constant(OPEN, "1"))
    with pytest.raises(NotApplied, match=r"the\.shop:LIMIT is no function"):
        after(Returns("the.shop:LIMIT", "1"))


def test_an_edit_that_changes_nothing_is_an_error():
    with pytest.raises(NotApplied, match=r"the\.shop:LIMIT: nothing is changed"):
        after(Constant("the.shop:LIMIT", "10"))


# -- functions ---------------------------------------------------------------------------------------------------------


def test_a_function_gets_another_body():
    made = after(Body(OPEN, "self.alarm()\nreturn None"))
    assert body(made, "open") == "self.alarm()\nreturn None"


def test_a_body_may_go_around_what_was_there():
    made = after(
        Body(
            "the.shop:Safe.open",
            """
            try:
                ...
            except KeyError:
                return None
            """,
        )
    )
    assert made.endswith("try:\n            return key\n        except KeyError:\n            return None\n")


def test_a_class_gets_another_attribute():
    assert "        return key\n    owner = ''\n" in after(Body("the.shop:Safe", "...\nowner = ''"))


def test_a_function_returns_something_else():
    assert body(after(Returns("the.shop:Till.total", "0")), "total") == "return 0"


def test_what_a_function_returns_is_changed_and_what_functions_within_it_return_is_not():
    made = body(after(Result("the.shop:Till.total", "result + 1")), "total")
    assert "return item.price\n" in made
    assert made.endswith("return (lambda result: result + 1)(sum((each(item) for item in self.items)))")


def test_a_function_that_returns_nothing_has_no_result():
    with pytest.raises(NotApplied, match=r"the\.shop:Till\.close returns nothing"):
        after(Result("the.shop:Till.close", "1"))


def test_statements_go_before_and_after_the_one_that_calls_a_name():
    made = body(after(Statement(OPEN, "release", "before()\n...\nafter()")), "open")
    assert "    before()\n    self.lock.release(key, hard=hard)\n    after()\n    self.bell.ring" in made


def test_the_statement_that_calls_a_name_goes():
    made = body(after(Without("the.shop:Till.close", "take")), "close")
    assert made == "try:\n    await self.count()\nfinally:\n    pass"


def test_a_call_in_the_first_line_of_a_block_stands_for_the_block():
    assert body(after(Without(OPEN, "lock.check")), "open").endswith("pass\nreturn self.drawer")


@pytest.mark.parametrize("call", ["release", "lock.release", "self.lock.release"])
def test_a_call_may_be_named_with_what_stands_before_it(call: str):
    assert "self.lock.release" not in after(Without(OPEN, call))


@pytest.mark.parametrize(("call", "count"), [("lease", 0), ("bell.release", 0), ("ring", 2)])
def test_a_call_that_is_not_there_as_often_as_expected_is_an_error(call: str, count: int):
    code = SHOP.replace("return self.drawer", "self.bell.ring(2)\n        return self.drawer")
    with pytest.raises(NotApplied, match=rf"Till\.open has {count} times, not 1: statements that call {call}"):
        after(Without(OPEN, call), code)


def test_an_expression_is_found_however_it_is_written():
    made = after(Swaps("the.shop:Till.total", "sum( each( item )for item in self . items)", "None"))
    assert body(made, "total").endswith("return None")


def test_an_expression_is_not_found_within_a_name_or_a_text():
    with pytest.raises(NotApplied, match=r"has 0 times, not 1: rawer"):
        after(Swaps(OPEN, "rawer", "1"))


def test_an_expression_that_is_there_more_often_than_expected_is_an_error():
    with pytest.raises(NotApplied, match=r"Till\.open has 2 times, not 1: key"):
        after(Swaps(OPEN, "key", "None"))
    assert "release(None, " in after(Swaps(OPEN, "key", "None", times=2))


@pytest.mark.parametrize(
    ("name", "made"), [(0, "ring(9, loud=True)"), ("loud", "ring(1, loud=9)"), ("long", "ring(1, loud=True, long=9)")]
)
def test_a_call_gets_another_argument(name: str | int, made: str):
    assert made in after(Argument(OPEN, "bell.ring", name, "9"))


def test_an_argument_without_a_name_must_be_there():
    with pytest.raises(NotApplied, match=r"Till\.open: bell\.ring has no argument 1"):
        after(Argument(OPEN, "bell.ring", 1, "9"))


# -- constants ---------------------------------------------------------------------------------------------------------


def test_a_constant_gets_another_value():
    assert "LIMIT: Final = 20\n" in after(Constant("the.shop:LIMIT", "2 * 10")).replace("2 * 10", "20")


def test_one_row_of_a_table_changes():
    made = after(Row("the.shop:PRICES", "('tea', 'large')", "4"))
    assert "PRICES = {('tea', 'small'): 2, ('tea', 'large'): 4}\n" in made


def test_a_row_that_is_not_there_is_an_error():
    with pytest.raises(NotApplied, match=r"PRICES has 0 times, not 1: rows \('tea', 'huge'\)"):
        after(Row("the.shop:PRICES", "('tea', 'huge')", "4"))


def test_a_row_with_a_word_that_the_table_has_not_is_an_error():
    assert "'large'): 'small'}" in after(Row("the.shop:PRICES", "('tea', 'large')", "'small'"))
    with pytest.raises(NotApplied, match=r"PRICES has nowhere the word huge"):
        after(Row("the.shop:PRICES", "('tea', 'large')", "'huge'"))


# -- manifests ---------------------------------------------------------------------------------------------------------

ROLES = """
# a comment
kind: Role
metadata: {name: one}
rules:
  - verbs: [get]
---
kind: Role
metadata: {name: two}
rules:
  - verbs: [get]
"""


def rules(path: str, value: str, name: str = "Role/two") -> list[object]:
    made = yaml.safe_load_all(Field("roles.yaml", name, path, value).apply(ROLES))
    return [one["rules"] for one in made]


def test_a_field_of_one_object_changes():
    assert rules("rules.0.verbs", "[list]") == [[{"verbs": ["get"]}], [{"verbs": ["list"]}]]


def test_a_list_gets_one_more_entry():
    assert rules("rules.0.verbs.+", "list") == [[{"verbs": ["get"]}], [{"verbs": ["get", "list"]}]]


def test_a_field_goes():
    assert rules("rules.0.verbs", GONE) == [[{"verbs": ["get"]}], [{}]]


@pytest.mark.parametrize(
    ("path", "value"),
    [("rules.1.verbs", "[]"), ("rules.0.nouns", "[]"), ("rules.0.nouns", GONE), ("rules.verbs", "[]"), ("kind.+", "x")],
)
def test_a_field_that_is_not_there_is_an_error(path: str, value: str):
    with pytest.raises(NotApplied, match=rf"roles\.yaml: Role/two has no {path.replace('+', '[+]')}"):
        rules(path, value)


def test_an_object_that_is_not_there_is_an_error():
    with pytest.raises(NotApplied, match=r"roles\.yaml has 0 times, not once: Role/three"):
        rules("rules", "[]", "Role/three")


def test_a_field_that_has_the_value_already_is_an_error():
    with pytest.raises(NotApplied, match=r"Role/two has rules\.0\.verbs: \['get'\] already"):
        rules("rules.0.verbs", "[get]")
