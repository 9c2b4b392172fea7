import subprocess
import sys

import pytest
from editor.script import run


def test_what_there_was():
    session = run(["insert hello world\n", "move 5", "erase 2", "replace l L", ""])
    assert session.text == "heL worLd"
    assert session.buffer.cursor == 9
    with pytest.raises(ValueError):
        run(["fly away"])


def test_undo_and_redo_lines():
    assert run(["insert a b", "erase 1", "undo"]).text == "a b"
    assert run(["insert a b", "erase 1", "undo", "redo"]).text == "a "
    assert run(["undo", "redo", "insert x"]).text == "x"


def test_with_counts():
    lines = ["insert a ", "insert b ", "insert c ", "undo 2"]
    assert run(lines).text == "a "
    assert run([*lines, "redo 9"]).text == "a b c "
    assert run([*lines, "undo 9"]).text == ""


def test_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "editor.script"], input="insert a b\nerase 3\nundo\n", capture_output=True, text=True
    )
    assert done.stdout == "a b\n"
