from editor.commands import Erase, Insert, Move, Replace
from editor.session import Session


def session_of(*commands, **options):
    session = Session(**options)
    for command in commands:
        session.do(command)
    return session


def state(session):
    return session.buffer.text, session.buffer.cursor


def test_undo_and_redo_of_each_command():
    for command in (Insert("x y"), Erase(2), Replace("a", "bb")):
        session = session_of(text="banana")
        session.do(Move(3))
        session.do(command)
        after = state(session)
        assert session.undo() is True
        assert state(session) == ("banana", 3)
        assert session.redo() is True
        assert state(session) == after


def test_nothing_to_undo_or_redo():
    session = session_of(text="abc")
    assert session.undo() is False
    assert session.redo() is False
    assert state(session) == ("abc", 3)
    session.do(Insert("d"))
    session.undo()
    assert session.undo() is False
    assert state(session) == ("abc", 3)


def test_several_steps_back_and_forth():
    session = session_of(Insert("one "), Insert("two "), Erase(1), Replace("o", "0"))
    seen = [session.text]
    while session.undo():
        seen.append(session.text)
    assert seen == ["0ne tw0", "one two", "one two ", "one ", ""]
    for wanted in ["one ", "one two ", "one two", "0ne tw0"]:
        assert session.redo() is True
        assert session.text == wanted


def test_a_new_command_forgets_what_could_be_redone():
    session = session_of(Insert("a "), Insert("b "))
    session.undo()
    session.do(Insert("c "))
    assert session.redo() is False
    assert session.text == "a c "
    session.undo()
    assert session.text == "a "


def test_inserts_in_a_row_are_one_step():
    session = session_of(Insert("a"), Insert("b"), Insert("cd"))
    session.undo()
    assert session.text == ""
    session.redo()
    assert state(session) == ("abcd", 4)


def test_a_space_or_a_line_break_is_a_step_of_its_own():
    session = session_of(Insert("a"), Insert("b"), Insert(" "), Insert("c"), Insert("d"), Insert("\n"), Insert("e"))
    seen = []
    while session.undo():
        seen.append(session.text)
    assert seen == ["ab cd\n", "ab cd", "ab ", "ab", ""]


def test_an_undo_ends_a_run_of_inserts():
    session = session_of(Insert("a"), Erase(1), Insert("b"))
    session.undo()
    session.do(Insert("c"))
    session.undo()
    assert session.text == ""
    assert session.undo() is True
    assert session.text == "a"


def test_an_insert_after_redo_begins_a_new_step():
    session = session_of(Insert("a"))
    session.undo()
    session.redo()
    session.do(Insert("b"))
    session.undo()
    assert session.text == "a"


def test_an_insert_after_an_undo_does_not_join_the_step_before():
    session = session_of(Insert("a"), Insert(" "))
    session.undo()
    session.do(Insert("b"))
    session.undo()
    assert session.text == "a"


def test_an_erase_ends_a_run_of_inserts():
    session = session_of(Insert("ab"), Erase(1), Insert("c"))
    session.undo()
    assert session.text == "a"
    session.undo()
    assert session.text == "ab"


def test_a_move_is_no_step_but_ends_a_run():
    session = session_of(Insert("ab"), Move(0), Insert("c"))
    assert session.text == "cab"
    session.undo()
    assert state(session) == ("ab", 0)
    session.undo()
    assert session.text == ""
    assert session.undo() is False


def test_a_move_keeps_what_can_be_redone():
    session = session_of(Insert("ab"), Erase(1))
    session.undo()
    session.do(Move(0))
    assert session.redo() is True
    assert state(session) == ("a", 1)


def test_what_changes_nothing_is_no_step():
    session = session_of(Insert("ab"), Erase(0), Replace("x", "y"), Insert("c"))
    session.undo()
    assert session.text == ""
    assert session.undo() is False
    session.do(Erase(3))
    assert session.redo() is True
    assert session.text == "abc"


def test_the_limit():
    session = Session("", limit=2)
    for text in ("a ", "b ", "c "):
        session.do(Insert(text))
    assert [session.undo(), session.undo(), session.undo()] == [True, True, False]
    assert session.text == "a "
    none = Session("x", limit=0)
    none.do(Insert("y"))
    none.do(Insert("z"))
    assert none.undo() is False
    assert none.text == "xyz"


def test_a_hundred_steps_without_a_limit():
    session = Session()
    for _ in range(105):
        session.do(Insert("x "))
    count = 0
    while session.undo():
        count += 1
    assert count == 100
    assert session.text == "x " * 5


def test_commands_from_elsewhere():
    class Upper:
        def apply(self, buffer):
            buffer.text = buffer.text.upper()

    session = session_of(Upper(), text="abc")
    assert session.text == "ABC"
    session.undo()
    assert state(session) == ("abc", 3)
