"""The repair strategy in a real sandbox, with a model that says what each test wants: one test per ending."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.service import Answer

from agent.autonomy.answers import No, Quit, Yes
from agent.autonomy.levels import Level
from agent.models.protocol import ModelError
from agent.outcomes import Outcome
from agent.strategies import repair
from sandboxes.protocol import FileError

pytestmark = pytest.mark.docker

BUGGY = 'def mean(values):\r\n    """The mean."""\r\n    return sum(values) / (len(values) - 1)  # all\r\n'
TEST = "from calc import mean\n\n\ndef test_mean():\n    assert mean([2]) == 2\n    assert mean([1, 3]) == 2\n"
FILES = {"calc.py": BUGGY, "tests/test_calc.py": TEST}
SAME = "Here it is:\n```python\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n```\n"
WRONG = "```python\ndef mean(values):\n    return sum(values) / 2\n```\n"
BROKEN = "```python\ndef mean(values:\n```\n"
RIGHT = "```python\ndef mean(values):\n    return sum(values) / len(values)\n```\n"
QUICK = 'python3 -c "from calc import mean; assert mean([2]) == 2"'
FIXED = BUGGY.replace("(len(values) - 1)  # all", "len(values)")


def wrong(number: int) -> str:
    return WRONG.replace("/ 2", f"/ {number}.5")


async def test_it_ends_done_with_the_first_proposal_that_passes(stage: Any) -> None:
    scene = await stage(FILES, [SAME, BROKEN, WRONG, WRONG, RIGHT])
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.DONE
    assert end.detail == "`python3 -m pytest -q` passes"
    assert "`mean` in calc.py" in end.summary
    assert await scene.file("calc.py") == FIXED
    assert await scene.file("tests/test_calc.py") == TEST
    problems = [attempt.problem for attempt in scene.attempts]
    assert "changes nothing" in problems[0]
    assert "not valid Python" in problems[1]
    assert "fails with exit code 1" in problems[2]
    assert "earlier proposal" in problems[3]
    assert problems[4] == ""
    assert [attempt.passed for attempt in scene.attempts] == [False] * 4 + [True]
    # Only what could be new was worth a run: one before the first proposal, and two of the five.
    assert [check.passed for check in scene.checks] == [False, False, True]


async def test_attempts_get_hotter_never_share_a_seed_and_can_be_repeated(stage: Any) -> None:
    scene = await stage(FILES, [wrong(n) for n in range(repair.MAX_ATTEMPTS)], check=QUICK)
    await repair.run(scene.work, seed=40)
    asked = scene.service.requests
    assert [request["seed"] for request in asked] == list(range(40, 40 + repair.MAX_ATTEMPTS))
    temperatures = [request["temperature"] for request in asked]
    assert temperatures == sorted(temperatures)
    assert temperatures[0] < temperatures[-1] <= 1
    prompt = asked[0]["messages"][1]["content"]
    assert "def mean(values):" in prompt
    assert "mean is wrong" in prompt
    assert "ZeroDivisionError" in prompt


async def test_it_ends_with_the_checks_failing_and_every_byte_as_it_was(stage: Any) -> None:
    scene = await stage(FILES, [wrong(n) for n in range(repair.MAX_ATTEMPTS)], check=QUICK)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.CHECKS_FAIL
    assert str(repair.MAX_ATTEMPTS) in end.detail
    assert len(scene.attempts) == repair.MAX_ATTEMPTS
    assert await scene.file("calc.py") == BUGGY


async def test_a_file_that_the_check_replaced_by_a_link_is_not_put_back_through_it(stage: Any) -> None:
    swap = "rm -f calc.py; ln -s /home/agent/victim calc.py"
    check = f"{QUICK}; code=$?; if [ -e ran ]; then {swap}; fi; touch ran; exit $code"
    scene = await stage(FILES, [WRONG], check=check)
    await scene.sandbox.write("/home/agent/victim", b"guarded")
    end = await repair.run(scene.work)
    assert await scene.sandbox.read("/home/agent/victim") == b"guarded"
    assert end.outcome is Outcome.CHECKS_FAIL
    assert "replaced /workspace/calc.py by a link" in end.detail


async def test_without_a_command_to_verify_with_it_says_so(stage: Any) -> None:
    scene = await stage(FILES, [], check=None)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.USAGE
    assert "--verify" in end.detail


async def test_a_command_that_passes_already_is_nothing_to_repair_from(stage: Any) -> None:
    scene = await stage(FILES, [], check="true")
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.USAGE
    assert "`true` passes already" in end.detail
    assert scene.service.requests == []


async def test_at_plan_it_cannot_work(stage: Any) -> None:
    scene = await stage(FILES, [], level=Level.PLAN)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.USAGE
    assert "--autonomy" in end.detail
    assert scene.checks == []


async def test_a_budget_ends_it(stage: Any) -> None:
    scene = await stage(FILES, [SAME, WRONG], max_steps=2)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.BUDGET
    assert len(scene.attempts) == 2
    assert await scene.file("calc.py") == BUGGY


async def test_a_failure_that_leads_nowhere_ends_it_before_the_model_is_asked(stage: Any) -> None:
    files = {"tests/test_own.py": "def helper():\n    return 1\n\n\ndef test_own():\n    assert helper() == 2\n"}
    scene = await stage(files, [])
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.CHECKS_FAIL
    assert "no function of the project" in end.detail
    assert "1 failed" in end.detail
    assert scene.service.requests == []


async def test_with_nobody_to_ask_nothing_runs(stage: Any) -> None:
    scene = await stage(FILES, [], level=Level.ASK, given=False)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.CHECKS_FAIL
    assert scene.work.gate.needed_approval
    assert scene.checks == []


async def test_with_nobody_to_ask_nothing_is_written(stage: Any) -> None:
    scene = await stage(FILES, [RIGHT], level=Level.ASK)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.CHECKS_FAIL
    assert scene.work.gate.needed_approval
    assert len(scene.checks) == 1
    assert await scene.file("calc.py") == BUGGY


async def test_a_person_sees_each_proposal_and_a_no_reaches_the_model(stage: Any, person: Any) -> None:
    someone = person([Yes(), No("keep it a float"), Yes()])
    scene = await stage(FILES, [WRONG, RIGHT], level=Level.ASK, approver=someone, given=False)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.DONE
    assert [question.tool for question in someone.asked] == ["shell", "write", "write"]
    assert "-    return sum(values) / (len(values) - 1)" in someone.asked[1].preview.diff
    assert "keep it a float" in scene.service.requests[1]["messages"][1]["content"]
    assert scene.attempts[0].problem == "not allowed"
    assert await scene.file("calc.py") == FIXED


@pytest.mark.parametrize("answers", [[Quit()], [Yes(), Quit()]], ids=["about the check", "about a proposal"])
async def test_quitting_at_a_question_ends_it(stage: Any, person: Any, answers: list[Any]) -> None:
    scene = await stage(FILES, [WRONG], level=Level.ASK, approver=person(answers), given=False)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.INTERRUPTED
    assert await scene.file("calc.py") == BUGGY


async def test_a_failing_model_ends_it_with_the_files_as_they_were(stage: Any) -> None:
    scene = await stage(FILES, [WRONG, Answer(status=400, text="no more")])
    with pytest.raises(ModelError):
        await repair.run(scene.work)
    assert await scene.file("calc.py") == BUGGY


SLOW = {
    **FILES,
    "check.py": (
        "import pathlib, sys, time\nfrom calc import mean\n"
        "if '.5' in pathlib.Path('calc.py').read_text():\n"
        "    pathlib.Path('running').write_text('')\n    time.sleep(60)\n"
        "if mean([2]) != 2:\n    sys.exit(1)\n"
    ),
}


async def test_cancelled_while_a_proposal_is_tried_it_takes_it_back(stage: Any) -> None:
    scene = await stage(SLOW, [wrong(1)], check="python3 check.py")
    running = asyncio.create_task(repair.run(scene.work))
    while not await _is_there(scene, "running"):
        assert not running.done()
        await asyncio.sleep(0.02)
    assert ".5" in await scene.file("calc.py")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await scene.file("calc.py") == BUGGY


async def test_a_proposal_that_never_ends_is_one_that_fails(stage: Any) -> None:
    scene = await stage(SLOW, [wrong(1), RIGHT], check="python3 check.py", check_seconds=1.5)
    end = await repair.run(scene.work)
    assert end.outcome is Outcome.DONE
    assert "stopped after" in scene.attempts[0].problem
    assert await scene.file("calc.py") == FIXED


async def _is_there(scene: Any, path: str) -> bool:
    try:
        await scene.file(path)
    except FileError:
        return False
    return True
