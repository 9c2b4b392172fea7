import subprocess
import sys

PLUGIN = """
def register(registry):
    registry.converter("upper", priority=1)(lambda text: "UP:" + text)
    registry.converter("dash")(lambda text: "-" + text)
"""


def run(*arguments, text=""):
    command = [sys.executable, "-m", "convert", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_built_in_kinds():
    from convert.core import convert

    assert run("upper", text="abc") == (0, "ABC", "")
    assert run("reverse", text="abc") == (0, "cba", "")
    assert convert("upper", "a") == "A"


def test_unknown_kinds():
    assert run("zzz", text="abc") == (2, "", "convert: no converter 'zzz'\n")


def test_a_hint_and_the_alias():
    assert run("uppr") == (2, "", "convert: no converter 'uppr' (did you mean 'upper'?)\n")
    assert run("up", text="abc") == (0, "ABC", "")


def test_the_list():
    assert run("--list") == (0, "reverse\nup\nupper\n", "")


def test_without_a_kind():
    assert run()[0] == 2


def test_plugins(tmp_path):
    (tmp_path / "good.py").write_text(PLUGIN)
    (tmp_path / "bad.py").write_text("raise ValueError('bad')\n")
    told = "convert: plugin bad.py: ValueError: bad\n"
    assert run("upper", "--plugins", str(tmp_path), text="abc") == (0, "UP:abc", told)
    assert run("up", "--plugins", str(tmp_path), text="abc") == (0, "ABC", told)
    assert run("--plugins", str(tmp_path), "--list") == (0, "dash\nreverse\nup\nupper\n", told)


def test_core_goes_on_without_plugins():
    from convert.core import convert

    try:
        convert("nothing-like-it", "a")
    except LookupError as error:
        assert error.args[0] == "no converter 'nothing-like-it'"
    else:
        raise AssertionError("nothing was raised")
