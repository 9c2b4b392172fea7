import ast
from pathlib import Path

import units


def functions():
    tree = ast.parse(Path(units.__file__).read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_both_use_one_function():
    assert units.parse_quantity("2a1b", {"a": 10, "b": 1}) == 21
    for name in ("parse_size", "parse_duration"):
        called = [n.func.id for n in ast.walk(functions()[name]) if isinstance(n, ast.Call) and hasattr(n.func, "id")]
        assert called == ["parse_quantity"]


def test_no_loop_is_left_in_either():
    for name in ("parse_size", "parse_duration"):
        kinds = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)
        assert not any(isinstance(node, kinds) for node in ast.walk(functions()[name]))
