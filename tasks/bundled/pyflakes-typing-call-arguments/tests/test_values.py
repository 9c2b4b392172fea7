import ast

from pyflakes.checker import Checker


def messages(text):
    found = Checker(ast.parse(text)).messages
    return sorted(f"{each.lineno} {type(each).__name__} {each.message_args[0]}" for each in found)


def test_fields_from_elsewhere():
    text = "from typing import NamedTuple\nfrom x import y, z, unused\nNamedTuple('NT', y)\nNamedTuple('NT', z.fields)\n"
    assert messages(text) == ["2 UnusedImport x.unused"]


def test_keys_from_elsewhere():
    text = "from typing import TypedDict\nfrom x import y, other\nTypedDict('TD', y)\nTypedDict('TD', z)\n"
    assert messages(text) == ["2 UnusedImport x.other", "4 UndefinedName z"]
