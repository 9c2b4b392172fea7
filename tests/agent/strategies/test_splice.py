"""Cutting functions out of files and putting corrected ones back."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.strategies.splice import Unusable, blocks, corrected, functions, keep_equal_lines, lines_of, replace

FILES = {
    "plain": "x = 1\n\n\ndef f(a):\n    return a\n\n\ny = 2\n",
    "docstring": 'def f(a):\n    """Doc\n  of it.\n    """\n\n    # why\n    return a\n',
    "docstring under a comment": 'def f(a):\n    # first\n    """Doc."""\n    return a\n',
    "docstring on the head's line": 'def f(a): "doc"; return a\n',
    "one line": "def f(a): return a",
    "no newline at the end": "def f(a):\n    return a",
    "crlf": 'def g():\r\n    pass\r\n\r\ndef f(a):\r\n    """Doc."""\r\n\r\n    return a\r\n',
    "tabs": 'class A:\n\tdef f(self):\n\t\t"""Doc."""\n\t\treturn 1\n\n\tx = 2\n',
    "method": "class A:\n    @static\n    def f(a):\n        return a\n\n    class B:\n        def g(b): ...\n",
    "decorators": "@wraps(\n    x\n)\n@other\nasync def f(a):\n    await a\n",
    "nested": "def f():\n    def g():\n        '''In.'''\n        return 1\n    return g\n",
    "strings": 'class A:\n    def f(self):\n        return """\na\n    b\n""" + f"""\n{1}\n  c\n"""\n',
    "long head": 'def f(\n    a: int = 1,  # a: one\n    b: str = ":",\n) -> "x":\n    """Doc."""\n    return a\n',
    "conditional": "if True:\n    def f(a):\n        return a\nelse:\n    def f(a):\n        return -a\n",
    "low comment": "class A:\n    def f(self):\n        x = 1\n# low\n        return x\n",
    "blank lines with blanks": "class A:\n    def f(self):\n        x = 1\n    \n        return x\n",
    "form feed": "x = 1\n\x0c\ndef f(a):\n    s = '\u2028'\n    return a\n",
    "byte order mark": "\ufeffdef f(a):\n    return a\n",
    "only a docstring": 'def f(a):\n    """Doc."""\n',
}


@pytest.mark.parametrize("source", FILES.values(), ids=FILES)
def test_a_function_put_back_as_it_was_changes_nothing(source: str) -> None:
    found = functions(source)
    assert found
    for function in found:
        assert replace(source, function, function.code) == source
        with pytest.raises(Unusable, match="changes nothing"):
            corrected(source, function, f"```python\n{function.code}\n```")


@pytest.mark.parametrize("source", FILES.values(), ids=FILES)
def test_a_changed_function_changes_nothing_else(source: str) -> None:
    for function in functions(source):
        tree = ast.parse(function.code)
        node = tree.body[0]
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        node.body.insert(0, ast.parse("marker = 1").body[0])
        result = corrected(source, function, f"```python\n{ast.unparse(tree)}\n```")
        before, after = lines_of(source), lines_of(result)
        assert after[: function.first - 1] == before[: function.first - 1]
        rest = before[function.last :]
        assert after[len(after) - len(rest) :] == rest
        assert result.count("marker = 1") == 1
        assert all(line in result for line in function.doc)


names = st.sampled_from(["f", "g", "value"])
expressions = st.sampled_from(["a", "1", "'x'", '"""two\nlines"""', "[\n  1,\n2]", "g(a) if a else None"])


@st.composite
def sources(draw: st.DrawFn) -> str:
    """Files of functions and classes, in every kind of indentation and line end."""
    unit = draw(st.sampled_from(["    ", "\t", "  "]))
    end = draw(st.sampled_from(["\n", "\r\n"]))

    def function(level: int) -> str:
        pad = unit * level
        lines = [f"{pad}@mark{end}"] if draw(st.booleans()) else []
        lines.append(f"{pad}{draw(st.sampled_from(['', 'async ']))}def {draw(names)}(a):{end}")
        if draw(st.booleans()):
            lines.append(f'{pad}{unit}"""Doc.{end}  more{end}{pad}{unit}"""{end}')
            lines += [end] * draw(st.integers(0, 2))
        if draw(st.booleans()):
            lines.append(f"{pad}{unit}# comment{end}")
        if level < 3 and draw(st.integers(0, 3)) == 0:
            lines.append(function(level + 1))
        return "".join([*lines, f"{pad}{unit}return {draw(expressions)}{end}"])

    def klass(level: int) -> str:
        return f"{unit * level}class C:{end}" + function(level + 1) + end

    parts = [draw(st.sampled_from([function, klass]))(0) for _ in range(draw(st.integers(1, 3)))]
    return f"import os{end}".join(parts)


@settings(deadline=None)
@given(sources())
def test_putting_back_any_function_is_the_identity(source: str) -> None:
    for function in functions(source):
        assert replace(source, function, function.code) == source


@settings(deadline=None)
@given(sources(), expressions)
def test_any_replaced_function_does_what_the_new_one_says(source: str, expression: str) -> None:
    for function in functions(source):
        new = f"def {function.short_name}(a, b):\n    return ({expression}, b)\n"
        result = corrected(source, function, f"```\n{new}```")
        same = [f for f in functions(result) if f.first == function.first]
        assert f"({expression}, b)".replace("\n", "") in same[0].code.replace("\r", "").replace("\n", "")
        assert same[0].doc == function.doc


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_no_answer_and_no_file_does_more_than_be_unusable(source: str, answer: str) -> None:
    try:
        for function in functions(source):
            corrected(source, function, answer)
    except Unusable:
        pass
    blocks(answer)


SOURCE = 'import os\n\n\ndef f(a):\n    """Doc."""\n    return a  # as is\n'


def fixed(answer: str, source: str = SOURCE, modules: frozenset[str] = frozenset()) -> str:
    return corrected(source, functions(source)[0], answer, modules)


def test_the_answers_docstring_is_dropped_for_the_files_own() -> None:
    assert fixed('```python\ndef f(a):\n    """Other words."""\n    return a + 1\n```') == SOURCE.replace(
        "return a  # as is", "return a + 1"
    )


def test_what_means_the_same_stays_as_it_was() -> None:
    old = "def f(a):\n    # first\n    x = 'one'\n\n    y = [\n        a,\n    ]\n    return x, y\n"
    new = 'def f(a):\n    x = "one"\n    y = [a]\n    return y, x\n'
    assert keep_equal_lines(old, new) == old.replace("x, y", "y, x")


def test_decorators_stay_when_the_answer_forgets_them() -> None:
    source = "class A:\n    @property\n    def f(self):\n        return 1\n"
    assert fixed("```\ndef f(self):\n    return 2\n```", source) == source.replace("1", "2")


def test_the_method_of_the_right_class_is_taken() -> None:
    source = "class A:\n    def f(self):\n        return 1\n\n\nclass B:\n    def f(self):\n        return 1\n"
    answer = (
        "```\nclass A:\n    def f(self):\n        return 7\n\nclass B:\n    def f(self):\n        return 2\n```"
    )
    second = functions(source)[1]
    assert corrected(source, second, answer) == "return 2".join(source.rsplit("return 1", 1))


def test_imports_come_along_when_they_can_be_resolved_and_are_used() -> None:
    answer = (
        "```\nimport math, madeup\nfrom nowhere import g\nfrom json import loads, dumps\nimport os\n\ndef f(a):\n"
    )
    result = fixed(answer + "    return math.floor(loads(g(os.sep + madeup.x)))\n```")
    assert lines_of(result)[:3] == ["import os\n", "from json import loads\n", "import math\n"]
    assert "nowhere" not in result
    assert "madeup\n" not in result
    assert "dumps" not in result
    assert "from own import g" in fixed(
        "```\nfrom own import g\ndef f(a):\n    return g(a)\n```", modules=frozenset({"own"})
    )


def test_helpers_come_along_when_they_are_called() -> None:
    answer = (
        "```\ndef unused():\n    pass\n\ndef helper(a):\n    return a + 1\n\ndef f(a):\n    return helper(a)\n```"
    )
    result = fixed(answer)
    assert "unused" not in result
    assert result.index("def helper") < result.index("def f")
    scope: dict[str, object] = {}
    exec(result, scope)
    assert eval("f(1)", scope) == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("I am sorry.", "not valid Python"),
        ("", "does not define `f`"),
        ("```python\ndef g(a):\n    return 1\n```", "does not define `f`"),
        ("```python\ndef f(a:\n```", "not valid Python"),
        ("```python\nx = '\0'\n```", "not valid Python"),
        ("```python\n" + "(" * 5000 + "\n```", "not valid Python"),
        ("```python\n" + "x = 1\n" * 100_000 + "```", "characters"),
        ("```python\ndef f(a):\n    return a" + ".b" * 900 + "\n```", "levels deep"),
        ("```python\ndef f(a):\n    return " + "-" * 900 + "a\n```", "levels deep|not valid"),
        ("```python\nif a: pass\n" + "elif b: pass\n" * 900 + "```", "levels deep|not valid"),
    ],
    ids=["words", "nothing", "another function", "broken", "a NUL", "deep", "huge", "dots", "signs", "branches"],
)
def test_an_unusable_answer_says_why(answer: str, problem: str) -> None:
    with pytest.raises(Unusable, match=problem):
        fixed(answer)


def test_the_first_usable_block_counts_and_a_missing_fence_is_forgiven() -> None:
    answer = "Here:\n```python\nf(1)\n```\nthen\n```python\ndef f(a):\n    return 3\n"
    assert "return 3" in fixed(answer)


def test_an_indented_answer_is_understood() -> None:
    answer = textwrap.indent("```python\ndef f(a):\n    return 3\n```", "   ")
    assert "    return 3\n" in fixed(answer)
