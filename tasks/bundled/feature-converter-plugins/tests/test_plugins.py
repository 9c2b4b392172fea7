import sys

try:
    from convert.plugins import load_plugins
    from convert.registry import Registry
except ImportError:  # the other files can be run all the same
    load_plugins = Registry = None

GOOD = """
def register(registry):
    registry.converter({name!r}, priority={priority})(lambda text: text + {name!r})
"""
HALF = """
def register(registry):
    registry.converter("half", aliases=["twice"], priority=9)(str.lower)
    raise RuntimeError("not today")
"""


def folder(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def registry_of():
    registry = Registry()
    registry.converter("twice")(lambda text: text * 2)
    return registry


def test_plugins_are_loaded_by_name(tmp_path):
    registry = registry_of()
    place = folder(tmp_path, b=GOOD.format(name="b", priority=0), a=GOOD.format(name="a", priority=0))
    assert load_plugins(registry, place) == []
    assert registry.names() == ["a", "b", "twice"]
    assert registry.convert("a", "x") == "xa"


def test_failures_do_not_stop_the_others(tmp_path):
    registry = registry_of()
    place = folder(
        tmp_path,
        a_syntax="def register(:\n",
        b_missing="x = 1\n",
        c_import="import no_such_module_anywhere\n",
        d_half=HALF,
        e_conflict=GOOD.format(name="twice", priority=0),
        f_good=GOOD.format(name="fine", priority=0),
    )
    failed = load_plugins(registry, place)
    assert [name for name, _ in failed] == ["a_syntax.py", "b_missing.py", "c_import.py", "d_half.py", "e_conflict.py"]
    messages = dict(failed)
    assert messages["a_syntax.py"].startswith("SyntaxError: ")
    assert messages["b_missing.py"] == "no register(registry)"
    assert messages["c_import.py"] == "ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    assert messages["d_half.py"] == "RuntimeError: not today"
    assert messages["e_conflict.py"].startswith("Conflict: ")
    assert registry.names() == ["fine", "twice"]


def test_what_a_failed_plugin_took_is_back(tmp_path):
    registry = registry_of()
    load_plugins(registry, folder(tmp_path, half=HALF))
    assert registry.convert("twice", "ab") == "abab"
    assert registry.names() == ["twice"]


def test_what_is_no_plugin(tmp_path):
    registry = registry_of()
    place = folder(tmp_path, _hidden=GOOD.format(name="hidden", priority=0))
    (place / "notes.txt").write_text("not python")
    (place / "deep").mkdir()
    (place / "deep" / "d.py").write_text(GOOD.format(name="deep", priority=0))
    assert load_plugins(registry, place) == []
    assert load_plugins(registry, tmp_path / "nowhere") == []
    assert registry.names() == ["twice"]


def test_nothing_is_left_in_sys_modules(tmp_path):
    before = set(sys.modules)
    load_plugins(registry_of(), folder(tmp_path, zz_plugin=GOOD.format(name="z", priority=0)))
    assert not [name for name in set(sys.modules) - before if "zz_plugin" in name]


def test_two_plugins_with_the_same_name_as_a_module(tmp_path):
    registry = registry_of()
    assert load_plugins(registry, folder(tmp_path, json=GOOD.format(name="js", priority=0))) == []
    import json

    assert json.loads("[1]") == [1]
    assert "js" in registry.names()
