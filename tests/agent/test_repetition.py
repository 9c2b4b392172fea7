"""When a model counts as going round in circles, and when it only waits."""

from __future__ import annotations

import json
from typing import Any

from agent.models.protocol import ToolCall
from agent.repetition import MAX_REPEATS, MAX_WAIT_SECONDS, MAX_WAITS, Repetition
from tools.protocol import ToolResult


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(id="1", name=tool, arguments=json.dumps(arguments))


def look(status: str = "running", total: int = 0) -> ToolResult:
    """What `process read` answers."""
    return ToolResult(f"(no new output)\n[process 1 {status}]", facts={"status": status, "total": total})


READ = call("process", action="read", process=1)
LIST = call("process", action="list")
SLEEP = call("shell", command=" sleep 30 ")
FILE = call("read", path="calc.py")
NOTHING = ToolResult("(no output)\n[exit 0]")


def test_durations_and_addresses_make_no_other_result_of_the_same_call() -> None:
    watch = Repetition()
    said = [watch.stuck(FILE, ToolResult(f"<C at 0x7f2c481ea{n}10> failed in 0.{n}s")) for n in range(MAX_REPEATS)]
    assert [bool(each) for each in said] == [False] * (MAX_REPEATS - 1) + [True]


def test_a_test_that_fails_alike_after_each_of_many_changes_is_no_repetition() -> None:
    watch = Repetition()
    for number in range(MAX_REPEATS * 2):
        change = FILE.model_copy(update={"arguments": f'{{"path": "{number}"}}'})
        assert not watch.stuck(change, ToolResult("changed"))
        assert not watch.stuck(FILE, ToolResult(f"failed in 0.{number}s"))


def test_the_same_call_with_the_same_result_is_stuck_at_the_fifth_time() -> None:
    watch = Repetition()
    said = [watch.stuck(FILE, ToolResult("text")) for _ in range(MAX_REPEATS)]
    assert said[:-1] == [None] * (MAX_REPEATS - 1)
    assert said[-1] == "the model made the same `read` call 5 times over"


def test_a_new_result_is_no_repetition() -> None:
    watch = Repetition()
    assert not any(watch.stuck(FILE, ToolResult(str(number))) for number in range(30))


def test_looking_at_a_running_process_is_waiting() -> None:
    watch = Repetition()
    assert not any(watch.stuck(READ, look()) for _ in range(MAX_REPEATS * 4))
    listed = ToolResult("1  running", facts={"processes": [{"status": "exited"}, {"status": "running"}]})
    assert not any(watch.stuck(LIST, listed) for _ in range(MAX_REPEATS * 4))


def test_sleeping_between_looks_is_waiting_too() -> None:
    watch = Repetition()
    for _ in range(MAX_REPEATS * 4):
        assert watch.stuck(READ, look()) is None
        assert watch.stuck(SLEEP, NOTHING) is None


def test_looking_at_what_has_ended_is_repetition() -> None:
    watch = Repetition()
    assert [watch.stuck(READ, look("exited")) for _ in range(MAX_REPEATS)][-1]
    listed = ToolResult("1  ended", facts={"processes": [{"status": "exited"}]})
    assert [watch.stuck(LIST, listed) for _ in range(MAX_REPEATS)][-1]


def test_what_is_typed_to_a_running_process_again_and_again_is_repetition() -> None:
    watch = Repetition()
    typed = call("process", action="write", process=1, input="x\n")
    assert [watch.stuck(typed, look()) for _ in range(MAX_REPEATS)][-1]


def test_a_command_that_does_more_than_sleep_is_repetition() -> None:
    watch = Repetition()
    typed = call("shell", command="sleep 1; make")
    assert [watch.stuck(typed, NOTHING) for _ in range(MAX_REPEATS)][-1]


def test_arguments_that_are_no_object_are_a_call_like_any_other() -> None:
    for text in ("[", "[]", "null", '{"action": []}', "9" * 5000, "[" * 100_000):
        watch = Repetition()
        broken = ToolCall(id="1", name="process", arguments=text)
        assert [watch.stuck(broken, look()) for _ in range(MAX_REPEATS)][-1]


def test_waiting_ends_after_so_many_looks() -> None:
    watch = Repetition(Clock())
    said = [watch.stuck(READ, look()) for _ in range(MAX_WAITS + 1)]
    assert not any(said[:-1])
    assert said[-1] == f"the model looked {MAX_WAITS} times at a process that printed nothing new"


def test_waiting_ends_after_so_long() -> None:
    clock = Clock()
    watch = Repetition(clock)
    assert watch.stuck(READ, look()) is None
    clock.now = MAX_WAIT_SECONDS - 1
    assert watch.stuck(READ, look()) is None
    clock.now = MAX_WAIT_SECONDS
    assert watch.stuck(READ, look()) == "the model waited 60 minutes for a process that printed nothing new"


def test_news_or_other_work_begin_the_wait_anew() -> None:
    clock = Clock()
    watch = Repetition(clock)
    for number in range(3 * MAX_WAITS):
        if number % (MAX_WAITS // 2) == 0:
            clock.now += MAX_WAIT_SECONDS / 2
            news = ToolResult(f"line {number}\n[process 1 running]", facts={"status": "running"})
            assert watch.stuck(READ, news) is None
        assert watch.stuck(READ, look()) is None
    assert watch.stuck(FILE, ToolResult("text")) is None
    clock.now += MAX_WAIT_SECONDS
    assert not any(watch.stuck(READ, look()) for _ in range(MAX_WAITS))


def test_looks_in_between_do_not_hide_a_repetition() -> None:
    watch = Repetition()
    said = []
    for _ in range(MAX_REPEATS):
        said.append(watch.stuck(FILE, ToolResult("text")))
        watch.stuck(READ, look())
        watch.stuck(SLEEP, NOTHING)
    assert said[-1]
