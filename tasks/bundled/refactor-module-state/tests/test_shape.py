import ast
import importlib
from pathlib import Path

import mailer
import pytest

FOLDER = Path(mailer.__file__).parent


def new(**settings):
    return importlib.import_module("mailer.mailer").Mailer(**settings)


def test_two_mailers_share_nothing():
    one, two = new(limit=1), new(sender="two@x")
    one.block("bad@x")
    assert one.send("a@b", "s", "t") is True
    assert one.send("a@b", "s", "t") is False
    assert two.sent() == []
    assert two.may_send("bad@x") is True
    assert two.send("bad@x", "s", "t") is True
    assert (one.sent()[0]["from"], two.sent()[0]["from"]) == ("noreply@example.org", "two@x")
    one.configure(footer="one")
    assert two.send("c@d", "s", "t") is True
    assert two.sent()[1]["body"] == "t\n"


def test_unknown_settings():
    with pytest.raises(TypeError, match="no setting 'colour'"):
        new(colour="red")
    with pytest.raises(TypeError, match="no setting 'colour'"):
        new().configure(colour="red")


def test_compose_reads_nothing_else():
    from mailer.compose import compose

    wanted = {"from": "me@x", "to": "a", "subject": "b", "body": "c\n-- \nF\n"}
    assert compose("a", "b", "c", sender="me@x", footer="F") == wanted
    assert compose("a", "b", "c", sender="me@x", footer="")["body"] == "c\n"


def test_the_default_mailer():
    from mailer import rules, send

    kept = send.default()
    kept.send("a@b", "s", "t")
    rules.block("no@x")
    assert len(send.sent()) == 1
    assert kept.may_send("no@x") is False
    send.reset()
    assert kept.sent() == []
    assert kept.may_send("no@x") is True
    assert send.default() is kept
    new().send("z@z", "s", "t")
    assert send.sent() == []


def test_the_default_mailer_is_a_mailer():
    from mailer import send

    assert type(send.default()) is importlib.import_module("mailer.mailer").Mailer


def test_no_state_in_modules():
    assert not (FOLDER / "state.py").exists()
    kinds = (ast.List, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)
    for path in FOLDER.rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert not any(isinstance(node, ast.Global) for node in ast.walk(tree)), path
        module = importlib.import_module("mailer" if path.stem == "__init__" else f"mailer.{path.stem}")
        for name, value in vars(module).items():
            assert name.startswith("__") or not isinstance(value, (list, set, dict)), (path, name)
        for node in tree.body:
            value = getattr(node, "value", None)
            assert not (isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(value, kinds)) or all(
                getattr(target, "id", "").startswith("__") for target in getattr(node, "targets", [])
            ), path
