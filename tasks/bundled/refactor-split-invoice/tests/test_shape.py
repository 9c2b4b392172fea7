import ast
from pathlib import Path

import invoice

SOURCE = Path(invoice.__file__).read_text()
FUNCTIONS = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
LOOPS = (ast.For, ast.While)


def statements(function):
    found = [node for node in ast.walk(function) if isinstance(node, ast.stmt)]
    return len(found) - 1 - (ast.get_docstring(function) is not None)


def test_short_functions():
    assert {function.name for function in FUNCTIONS} >= {"invoice", "parse", "money"}
    for function in FUNCTIONS:
        assert statements(function) <= 15, function.name
        inner = [node for node in ast.walk(function) if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef))]
        assert not [node for node in inner[1:] if isinstance(node, ast.FunctionDef)], function.name


def test_no_loop_in_a_loop():
    assert FUNCTIONS[1:]
    for function in FUNCTIONS:
        for loop in (node for node in ast.walk(function) if isinstance(node, LOOPS)):
            assert sum(isinstance(node, LOOPS) for node in ast.walk(loop)) == 1, function.name


def test_parse():
    items, errors = invoice.parse("2 x Tea @ 3.50\nbad\n1 x Tea @ 3.50 [A]\n# c\n1 x Pen @ 2 [Z]\n1 x a @ z")
    assert items == [invoice.Item("Tea", 3, 350, "A"), invoice.Item("Pen", 1, 200, "Z")]
    assert invoice.Item._fields == ("name", "count", "cents", "rate")
    assert errors == ["line 2: no quantity", "line 6: bad price z"]
    assert invoice.parse("") == ([], [])


def test_money():
    assert [invoice.money(cents) for cents in (0, 5, 99, 100, 1205, 123456)] == [
        "0.00",
        "0.05",
        "0.99",
        "1.00",
        "12.05",
        "1234.56",
    ]
    users = [function.name for function in FUNCTIONS if "02d" in (ast.get_source_segment(SOURCE, function) or "")]
    assert users in (["money"], [])
