"""`bridle fix` and `resume` as a user runs them: real engine, real git, a real HTTP service as the model."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import (
    BRIDLE,
    BUGGY,
    EDIT,
    ENVIRONMENT,
    FIXED,
    bridle,
    containers,
    finish,
    git,
    make_project,
    start,
)
from support.service import Answer, Script, Service, submit

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

Start = Callable[[Script], Service]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def fix(
    project: Path, service: Service, *more: str, task: str = "mean() is wrong", json: bool = True
) -> list[str]:
    """The command line of a fix with the scripted service."""
    model = ["--model", "scripted", "--base-url", service.url]
    return ["fix", task, "--repo", str(project), *model, *(["--json"] if json else []), *more]


def fingerprint(project: Path) -> dict[str, str]:
    """Every file of the checkout and of `.git` but objects and the delivered branch."""
    kept = {}
    for path in sorted(project.rglob("*")):
        name = str(path.relative_to(project))
        if path.is_file() and not name.startswith(
            (".git/objects", ".git/refs/heads/bridle", ".git/logs/refs/heads/bridle")
        ):
            kept[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return kept


def test_a_fix_is_verified_and_delivered_and_the_checkout_stays(project: Path, service: Start) -> None:
    (project / "notes.txt").write_text("not committed\n")
    before = fingerprint(project)
    model = service(
        [Answer("I will look.", [("read", {"path": "calc.py"})]), Answer(calls=[EDIT]), submit("divide by n")]
    )
    done = bridle(*fix(project, model, "--autonomy", "full"))
    assert done.code == 0, done.err
    report = done.report
    assert (report["outcome"], report["branch"], report["files"]) == ("done", "bridle/mean-is-wrong", 1)
    assert git(project, "show", "bridle/mean-is-wrong:calc.py") + "\n" == FIXED
    assert git(project, "show", "bridle/mean-is-wrong~:notes.txt") == "not committed"
    message = git(project, "log", "-1", "--format=%B", "bridle/mean-is-wrong")
    assert "Assisted-by: Bridle" in message
    assert "python3 -m pytest -q" in message
    assert fingerprint(project) == before
    assert containers(report["session"]) == []
    assert report["spent"]["steps"] == 3


def test_without_a_terminal_the_delivery_waits_and_resume_finishes_it(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model))
    assert (done.code, done.report["outcome"]) == (5, "approval_needed")
    assert git(project, "branch", "--list", "bridle/*") == ""
    again = bridle("resume", done.report["session"], "--autonomy", "full", "--json")
    assert (again.code, again.report["branch"]) == (0, "bridle/mean-is-wrong")
    assert len(model.requests) == 2, "the work was finished: no model is asked again"
    assert bridle("resume", done.report["session"]).code == 2


def test_wrong_calls_go_back_to_the_model_with_what_was_wrong(project: Path, service: Start) -> None:
    wrong = [("read", '{"path": '), ("fly", {}), ("read", {"file": "calc.py"}), EDIT]
    model = service([Answer(calls=wrong), submit()])
    assert bridle(*fix(project, model, "-a", "5")).code == 0
    results = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert "read was not run: its arguments are not JSON" in results[0]
    assert '"properties"' in results[0]
    assert "no tool 'fly'" in results[1]
    assert "edit" in results[1]
    assert "path: Field required" in results[2]
    assert len(results) == 4


def test_a_model_that_calls_no_tool_is_stuck(project: Path, service: Start) -> None:
    done = bridle(*fix(project, service(lambda _: Answer("It is fixed now."))))
    assert (done.code, done.report["outcome"]) == (6, "stuck")


def test_a_model_that_repeats_itself_is_stuck(project: Path, service: Start) -> None:
    done = bridle(*fix(project, service(lambda _: Answer(calls=[("read", {"path": "calc.py"})]))))
    assert (done.code, done.report["outcome"]) == (6, "stuck")
    assert done.report["spent"]["steps"] == 5


def test_a_model_that_waits_for_a_process_is_not_stuck(project: Path, service: Start) -> None:
    server = ("shell", {"command": "sleep 600", "background": True})
    look = Answer(calls=[("process", {"action": "read", "process": 1, "wait": 0.05})])
    model = service([Answer(calls=[server]), *[look] * 8, Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "-a", "full"))
    assert (done.code, done.report["outcome"]) == (0, "done")


def test_the_budget_of_steps_ends_it_and_resume_goes_on(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "--max-steps", "1", "-a", "full"))
    assert (done.code, done.report["resumable"]) == (4, True)
    assert done.report["files"] == 1
    again = bridle("resume", done.report["session"], "--max-steps", "9", "--json")
    assert again.code == 0, again.err
    assert "new sandbox" in model.requests[1]["messages"][-1]["content"]


def test_tokens_and_cost_end_it_too(project: Path, service: Start) -> None:
    read = Answer(calls=[("read", {"path": "calc.py"})], prompt_tokens=1_000_000)
    assert bridle(*fix(project, service([read]), "--max-tokens", "1000")).code == 4
    done = bridle(*fix(project, service([read]), "--max-cost", "0.5", "--price", "1/2"))
    assert done.code == 4
    assert done.report["spent"]["cost"] == pytest.approx(1.00002)


def test_the_time_limit_stops_a_running_command(project: Path, service: Start) -> None:
    model = service([Answer(calls=[("shell", {"command": "sleep 300"})])])
    done = bridle(*fix(project, model, "--max-time", "3"))
    assert (done.code, containers(done.report["session"])) == (4, [])


def test_checks_that_never_pass_end_it_and_keep_the_patch(project: Path, service: Start) -> None:
    half = ("edit", {"path": "calc.py", "old": "- 1", "new": "- 2"})
    model = service([Answer(calls=[half]), submit(), submit(), submit(), submit()])
    done = bridle(*fix(project, model, "-a", "full"))
    assert (done.code, done.report["outcome"]) == (3, "checks_fail")
    assert "Not accepted yet" in model.requests[-1]["messages"][-1]["content"]
    patch = bridle("show", done.report["session"], "--diff").out
    assert "+    return sum(values) / (len(values) - 2)" in patch
    assert git(project, "branch", "--list", "bridle/*") == ""


def test_a_false_claim_of_success_is_no_success(tmp_path: Path, service: Start) -> None:
    green = make_project(
        tmp_path / "green", {"calc.py": FIXED, "tests/test_calc.py": "def test_it():\n    pass\n"}
    )
    done = bridle(*fix(green, service(lambda _: submit("all is well")), "-a", "full"))
    assert (done.code, done.report["branch"]) == (3, None)
    assert "without changing anything" in done.report["detail"]


def test_a_fix_that_lives_in_ignored_files_only_is_not_verified(tmp_path: Path, service: Start) -> None:
    files = {".gitignore": "local.py\n", "test_it.py": "def test_it():\n    import local\n", "a.py": ""}
    project = make_project(tmp_path / "p", files)
    calls = [("write", {"path": "local.py", "content": ""}), ("write", {"path": "a.py", "content": "x = 1\n"})]
    model = service([Answer(calls=calls), *[submit()] * 4])
    done = bridle(*fix(project, model, "-a", "full"))
    assert (done.code, done.report["branch"]) == (3, None)
    assert "patch alone" in done.report["detail"]
    assert "Files that git ignores" in model.requests[2]["messages"][-1]["content"]


def test_a_patch_that_fails_on_its_own_goes_back_to_the_model(tmp_path: Path, service: Start) -> None:
    files = {".gitignore": "local.py\n", "test_it.py": "def test_it():\n    import local\n", "a.py": ""}
    project = make_project(tmp_path / "p", files)
    write = [("write", {"path": name, "content": "x = 1\n"}) for name in ("local.py", "a.py")]
    mend = [("edit", {"path": ".gitignore", "old": "local.py\n", "new": "# nothing\n"})]
    rename = [("write", {"path": "test_it.py", "content": "def test_it():\n    import a\n"})]
    model = service([Answer(calls=write), submit(), Answer(calls=[*mend, *rename]), submit()])
    done = bridle(*fix(project, model, "-a", "full"))
    assert done.code == 0, done.err
    assert done.report["spent"]["steps"] == 4


def test_a_submit_among_other_calls_is_not_taken(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT, ("submit", {"summary": "done"})]), submit()])
    assert bridle(*fix(project, model, "-a", "full")).code == 0
    assert "submit` was not run" in model.requests[1]["messages"][-1]["content"]


def test_a_found_verify_command_passes_the_gate_and_a_given_one_has_passed(project: Path, service: Start) -> None:
    script = [Answer(calls=[EDIT]), submit()]
    found = bridle(*fix(project, service(script), "-a", "edit"))
    assert (found.code, found.report["outcome"]) == (5, "approval_needed")
    assert "verify command was not allowed" in found.report["detail"]
    given = bridle(*fix(project, service(script), "-a", "edit", "--verify", "python3 -m pytest -q"))
    assert given.code == 5
    assert "not delivered" in given.report["detail"]
    journal = bridle("show", given.report["session"], "--json").out
    assert '"by":"user"' in journal


def test_a_failed_resume_leaves_the_session_as_it_was(project: Path, service: Start, tmp_path: Path) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "--max-steps", "1", "-a", "full"))
    session = done.report["session"]
    down = bridle("resume", session, "--json", env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert (down.code, down.report["resumable"]) == (8, True)
    again = bridle("resume", session, "--max-steps", "9", "--json")
    assert again.code == 0, again.err
    assert len(model.requests) == 2


def test_an_unreachable_model_is_told_and_the_work_can_go_on(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    args = ["fix", "mean() is wrong", "--repo", str(project), "--model", "m", "-a", "full", "--json"]
    done = bridle(*args, "--base-url", "http://127.0.0.1:9/v1")
    assert (done.code, done.report["outcome"]) == (7, "model_failed")
    assert "127.0.0.1:9" in done.report["detail"]
    again = bridle("resume", done.report["session"], "--base-url", model.url, "--json")
    assert again.code == 0, again.err


def test_when_nobody_reads_what_is_shown_the_work_goes_on(project: Path, service: Start) -> None:
    model = service([Answer("x" * 100_000, calls=[EDIT]), submit()])
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [BRIDLE, *fix(project, model, "-a", "full", json=False)],
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
        env={**os.environ, **ENVIRONMENT},
    )
    os.close(write)
    assert process.wait(60) == 0
    assert git(project, "branch", "--list", "bridle/*") != ""


def test_a_long_line_is_an_issue_and_no_file(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    assert bridle(*fix(project, model, "-a", "full", task="mean is wrong, " * 40)).code == 0


def test_a_resume_keeps_what_the_last_run_was_given(project: Path, service: Start) -> None:
    model = service(lambda _: Answer(calls=[("shell", {"command": "date +%N"})]))
    done = bridle(*fix(project, model, "--max-steps", "1"))
    more = bridle("resume", done.report["session"], "--max-steps", "3", "--json")
    assert more.report["spent"]["steps"] == 3
    assert bridle("resume", done.report["session"], "--json").report["spent"]["steps"] == 3


def test_another_strategy_goes_on_from_the_same_files(project: Path, service: Start) -> None:
    model = service([Answer(calls=[("write", {"path": "notes.md", "content": "kept\n"})])])
    done = bridle(*fix(project, model, "--max-steps", "1", "-a", "full"))
    answer = Answer(text=f"```python\n{FIXED}```\n")
    other = ["--strategy", "repair", "--base-url", service(lambda _: answer).url, "--max-steps", "9", "--json"]
    again = bridle("resume", done.report["session"], *other)
    assert again.code == 0, again.err
    assert again.report["files"] == 2


def test_a_verify_command_that_hangs_is_stopped(project: Path, service: Start) -> None:
    script = [Answer(calls=[EDIT]), *[submit()] * 4]
    done = bridle(*fix(project, service(script), "--verify", "sleep 600", "--verify-timeout", "1"))
    assert (done.code, done.report["outcome"]) == (3, "checks_fail")
    assert containers(done.report["session"]) == []


def test_a_plan_changes_nothing_and_is_the_result(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit("change the divisor in calc.py")])
    done = bridle(*fix(project, model, "--autonomy", "plan"))
    assert (done.code, done.report["summary"]) == (0, "change the divisor in calc.py")
    refused = model.requests[1]["messages"][-1]["content"]
    assert "Not done" in refused
    assert (project / "calc.py").read_text() == BUGGY


def test_a_full_disk_is_told_and_survived(project: Path, service: Start) -> None:
    fill = ("shell", {"command": "dd if=/dev/zero of=/dev/shm/full bs=1M 2>/dev/null; echo x > /dev/shm/more"})
    model = service(
        [
            Answer(calls=[fill]),
            Answer(calls=[("write", {"path": "/dev/shm/a", "content": "a" * 9999})]),
            Answer(calls=[EDIT]),
            submit(),
        ]
    )
    done = bridle(*fix(project, model, "-a", "full"))
    assert done.code == 0, done.err
    assert "space" in model.requests[2]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401, text="bad key"), "key"),
        (Answer(status=404, text="no such model"), "scripted"),
        (Answer(raw=b"<html>hello</html>"), "scripted"),
    ],
)
def test_a_service_that_fails_for_good(project: Path, service: Start, answer: Answer, words: str) -> None:
    done = bridle(*fix(project, service([answer, answer, answer, answer, answer, answer, answer, answer])))
    assert (done.code, done.report["outcome"]) == (7, "model_failed")
    assert words in done.report["detail"]
    assert containers(done.report["session"]) == []


def test_an_unknown_image_is_told_with_the_way_out(project: Path, service: Start) -> None:
    done = bridle(*fix(project, service([]), "--image", "bridle-test/no-such-image:1"))
    assert (done.code, done.report["outcome"]) == (8, "sandbox_failed")
    assert "docker pull" in done.report["detail"]


def test_the_image_that_the_repository_names_is_used_and_never_fetched(tmp_path: Path, service: Start) -> None:
    files = {"bridle.toml": 'image = "bridle-test/no-such-image:1"\n', "calc.py": BUGGY, "tests/test_calc.py": ""}
    project = make_project(tmp_path / "named", files)
    done = bridle(*fix(project, service([])))
    assert (done.code, done.report["outcome"]) == (8, "sandbox_failed")
    assert "docker pull" in done.report["detail"]
    host = bridle(*fix(project, service([submit("a plan")]), "--image", "host", "-a", "plan"))
    assert host.code == 0, host.err


def test_an_engine_that_does_not_answer_is_told(project: Path, service: Start, tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = bridle(*fix(project, service([]), "--backend", "docker"), env=nowhere)
    assert (done.code, done.report["outcome"]) == (8, "sandbox_failed")
    assert "bridle doctor" in done.report["detail"]


def test_a_sandbox_that_is_removed_ends_it_at_once(project: Path, service: Start) -> None:
    def script(request: dict[str, object]) -> Answer:
        for name in containers("-"):
            if name.startswith("bridle") and marks[0] in _labels(name):
                subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
        return Answer(calls=[("shell", {"command": "true"})])

    marks = [""]
    model = service(script)
    process = start(*fix(project, model, "-a", "full"))
    marks[0] = f"{process.pid}"
    done = finish(process)
    assert (done.code, done.report["outcome"]) == (8, "sandbox_failed")
    assert done.report["spent"]["steps"] == 1


def _labels(name: str) -> str:
    return subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=False).stdout


def test_ctrl_c_stops_the_command_keeps_the_work_and_resume_finishes(project: Path, service: Start) -> None:
    model = service(
        [Answer(calls=[EDIT, ("shell", {"command": "sleep 300"}), ("read", {"path": "calc.py"})]), submit()]
    )
    process = start(*fix(project, model, "-a", "full"))
    _wait_for(lambda: _has_started("sleep 300"))
    process.send_signal(signal.SIGINT)
    done = finish(process, 30)
    assert (done.code, done.report["outcome"]) == (130, "interrupted")
    assert containers(done.report["session"]) == []
    again = bridle("resume", done.report["session"], "--json")
    assert again.code == 0, again.err
    results = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert len(results) == 3
    assert "interrupted" in results[1]
    assert "interrupted" in results[2]


def test_a_second_ctrl_c_ends_at_once_and_nothing_is_lost(project: Path, service: Start) -> None:
    held = threading.Event()
    model = service([Answer(calls=[EDIT]), Answer(wait=held), submit()])
    process = start(*fix(project, model, "-a", "full", "--verify", "sleep 1; python3 -m pytest -q"))
    _wait_for(lambda: len(model.requests) == 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    assert finish(process, 20).code == 130
    held.set()
    again = bridle("resume", "last", "--json")
    assert again.code == 0, again.err
    assert git(project, "show", f"{again.report['branch']}:calc.py") + "\n" == FIXED


def test_a_recorded_session_replays_and_a_changed_one_is_refused(
    project: Path, service: Start, own_state: Path
) -> None:
    calls = [("shell", {"command": "python3 -m pytest -q"}), EDIT]
    done = bridle(*fix(project, service([Answer(calls=calls), submit()]), "-a", "full"))
    assert done.code == 0
    record = own_state / "sessions" / done.report["session"] / "journal.jsonl"
    again = [
        "fix",
        "mean() is wrong",
        "--repo",
        str(project),
        "--model",
        f"replay:{record}",
        "-a",
        "full",
        "--json",
    ]
    replayed = bridle(*again)
    assert replayed.code == 0, replayed.err
    assert replayed.report["branch"] == "bridle/mean-is-wrong-2"
    other = bridle("fix", "median() is wrong", *again[2:])
    assert (other.code, other.report["outcome"]) == (7, "model_failed")


def _has_started(text: str) -> bool:
    journals = Path(os.environ["BRIDLE_STATE_DIR"]).glob("sessions/*/journal.jsonl")
    lines = [line for journal in journals for line in journal.read_text().splitlines()]
    return any("call.started" in line and text in line for line in lines)


def _wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
