"""Faults and bad habits on purpose: real runs whose model is a script behind a real HTTP service.

    PYTHONPATH=.:tests python tests/tasks/failures/scenarios.py OUT [NAME…]

Each makes one run in OUT/NAME; `support/labelled.py` keeps the attempts. Start it in neutral folders, with an
environment that has pytest: what it finds there is in the journals.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.refusing_engine import refusing_engine
from support.service import Answer, Service

import tasks
from agent.outcomes import UsageProblem
from sandboxes.docker.backend import DockerBackend
from tasks.agents.work import Agent, parse_agent
from tasks.format.task import load_task
from tasks.runs.runner import Run

SUITE = Path(__file__).parent / "suite"
BUNDLED = Path(tasks.__file__).parent / "bundled"
DEBIAN = "bridle-test/debian:bookworm"
"""An image without pytest, which the tests of images leave on the engine."""
Script = Callable[[dict[str, Any]], Answer]


@dataclass
class Scenario:
    """A task, what the model says, and what else is done to it. `change` edits a copy of the task first."""

    task: str
    answers: Sequence[Answer] = ()
    options: dict[str, Any] = field(default_factory=dict)
    change: dict[str, str] = field(default_factory=dict)
    then: Answer | None = None
    regrade: bool = False
    fault: str = ""
    attempts: int = 1


def call(tool: str, **arguments: Any) -> Answer:
    return Answer(calls=[(tool, arguments)])


def sh(command: str, **more: Any) -> Answer:
    return call("shell", command=command, **more)


def edit(path: str, old: str, new: str) -> Answer:
    return call("edit", path=path, old=old, new=new)


def read(path: str) -> Answer:
    return call("read", path=path)


def write(path: str, content: str) -> Answer:
    return call("write", path=path, content=content)


def done(summary: str = "The bug is fixed.") -> Answer:
    return call("submit", summary=summary)


def say(text: str, **more: Any) -> Answer:
    return Answer(text=text, **more)


TEST = "python3 -m pytest -q"
STRIP = edit("slugs.py", "    return text\n", '    return text.strip("-")\n')
UPPER = edit("slugs.py", "title.lower()", "title.upper()")
LOWER = edit("slugs.py", "title.upper()", "title.lower()")
RANGE = edit("pages.py", "range(int(first), int(last))", "range(int(first), int(last) + 1)")
IN_CART = edit(
    "shop/cart.py",
    "discounted(self.cents, self.percent_off)",
    "discounted([sum(self.cents)], self.percent_off) + 1",
)
OVERFLOW = Answer(status=400, text="This model's maximum context length is 8192 tokens (context_length_exceeded)")
COUNT = edit("collatz.py", "    count = 1\n", "    count = 0\n")
READS = [read(p) for p in ("shop/cart.py", "shop/pricing.py", "shop/__init__.py", "tests/test_cart.py")]

SCENARIOS: dict[str, Scenario] = {
    # Services and machines.
    "service-503": Scenario("slugs", [read("slugs.py")], then=Answer(status=503, text="overloaded")),
    "service-key": Scenario("roman", then=Answer(status=401, text="wrong key")),
    "service-quota": Scenario("ttl-cache", [read("cache.py")], then=Answer(status=429, text="insufficient_quota")),
    "service-garbage": Scenario("page-ranges", [read("pages.py")], then=Answer(raw=b"<html>proxy</html>")),
    "service-closed": Scenario("cart-total", fault="closed"),
    "model-killed": Scenario("roman", options={"model": "local", "strategy": "loop"}, fault="model"),
    "image-missing": Scenario("slugs", change={"image": "localhost:1/absent:1"}),
    "image-empty": Scenario("slugs", change={"image": "bridle-test/nothing:1"}, fault="empty image"),
    "engine-refuses": Scenario("roman", [read("roman.py")], fault="engine"),
    "sandbox-killed": Scenario("ttl-cache", [read("cache.py"), sh("sleep 20; echo done")], fault="kill"),
    "sandbox-removed": Scenario("page-ranges", [read("pages.py"), RANGE, sh("sleep 20")], fault="remove"),
    "no-pytest": Scenario(
        "two-layers",
        [edit("conf/defaults.py", '"debug": "no"', '"debug": "no", "workers": 2')],
        change={"image": DEBIAN},
        then=done(),
    ),
    # Budgets.
    "steps": Scenario(
        "ttl-cache",
        [
            read("cache.py"),
            read("tests/test_cache.py"),
            sh(TEST),
            edit(
                "cache.py",
                "            return default\n        value, since",
                "            return default\n\n        value, since",
            ),
            sh("git diff"),
            edit(
                "cache.py",
                "        self.values[key] = (value, self.clock())\n        return value",
                "        return value",
            ),
            sh(TEST),
        ],
        {"max_steps": 7},
    ),
    "tokens": Scenario("roman", [read("roman.py"), sh(TEST), read("tests/test_roman.py")], {"max_tokens": 300}),
    "cost": Scenario(
        "two-layers",
        [read("conf/load.py"), read("conf/defaults.py"), sh("ls")],
        {"max_cost": 0.002, "price": "10/10"},
    ),
    "wall": Scenario(
        "collatz",
        [
            read("collatz.py"),
            sh("python3 -c 'import collatz; print(collatz.longest(3000))'; sleep 12"),
            COUNT,
            sh("sleep 12"),
        ],
        change={"agent": "14.0"},
    ),
    "context": Scenario("page-ranges", [read("pages.py"), sh(TEST), RANGE], then=OVERFLOW),
    "flood": Scenario(
        "page-ranges",
        [
            sh("find / -xdev -name '*.py' 2>/dev/null | head -4000"),
            sh("seq 1 400000"),
            sh("seq 1 300000 | sed s/$/./"),
        ],
        then=OVERFLOW,
    ),
    # The gate.
    "denied-edits": Scenario(
        "slugs",
        [read("slugs.py"), STRIP, sh("sed -i s/text$/x/ slugs.py"), write("slugs.py", "x = 1\n")],
        {"autonomy": "ask"},
    ),
    "denied-network": Scenario(
        "roman",
        [
            sh("curl -s http://example.org/roman.py"),
            sh("pip install roman"),
            sh("wget http://example.org/roman.py"),
        ],
        {"autonomy": "contained"},
    ),
    "denied-gives-up": Scenario(
        "two-layers",
        [read("conf/load.py"), write("conf/load.py", "x"), read("conf/defaults.py")],
        {"autonomy": "ask"},
        then=done("I was not allowed to write the files, so the change is described here only."),
    ),
    "nobody-answers": Scenario(
        "cart-total",
        [read("shop/pricing.py"), *[sh(f"rm -rf build{n}") for n in range(4)]],
        {"autonomy": "contained", "on_ask": "wait", "approval_timeout": 2},
    ),
    # Words instead of work.
    "refuses": Scenario("roman", then=say("I'm sorry, but I can't help with that request.")),
    "refuses-late": Scenario(
        "two-layers",
        [read("conf/load.py")],
        then=done("I won't change how configuration is read: it could expose secrets."),
    ),
    "explains-only": Scenario(
        "slugs",
        [read("slugs.py")],
        then=say('The function has to end with `return text.strip("-")`. Let me know if I should go on.'),
    ),
    "at-once": Scenario("collatz", then=done("Everything is in order already.")),
    # The patch.
    "too-large": Scenario("collatz", [COUNT, sh("head -c 120000000 /dev/zero > table.bin; ls -l")], then=done()),
    "broken-python": Scenario(
        "two-layers",
        [
            read("conf/load.py"),
            edit("conf/load.py", "def load(path):", "def load(path, overrides=None, env=None:"),
        ],
        then=done("Layers are in."),
    ),
    "broken-indent": Scenario(
        "collatz", [read("collatz.py"), edit("collatz.py", "    count = 1\n", "  count = 0\n")], then=done()
    ),
    "wrong-file": Scenario(
        "cart-total", [read("shop/cart.py"), IN_CART, sh(TEST)], then=done("Rounding is mended.")
    ),
    "new-module": Scenario(
        "collatz",
        [read("collatz.py"), write("fast_collatz.py", "KNOWN = {1: 0}\n"), sh("python3 -c 'import fast_collatz'")],
        then=done("A fast version is in fast_collatz.py."),
    ),
    # How the tests come out.
    "half": Scenario(
        "page-ranges", [read("pages.py"), RANGE, sh(TEST)], then=done("Ranges have their last page.")
    ),
    "breaks-others": Scenario(
        "cart-total",
        [
            read("shop/pricing.py"),
            edit(
                "shop/pricing.py",
                "return sum(each * (100 - percent_off) // 100 for each in cents)",
                "return (sum(cents) * (100 - percent_off) + 50) // 100",
            ),
            edit("shop/pricing.py", "(cents * percent + 50) // 100", "(cents * percent) // 100"),
            sh(TEST),
        ],
        then=done("Rounding happens once, at the end."),
    ),
    "off-the-mark": Scenario(
        "known-broken-not",
        [
            read("area.py"),
            edit("area.py", "return width * height", "return abs(width * height)"),
            sh("python3 -c 'import area'"),
        ],
        then=done("Negative sides are handled."),
    ),
    "endless": Scenario(
        "collatz",
        [
            read("collatz.py"),
            edit("collatz.py", "            n = n // 2", "            n = n / 2"),
            edit("collatz.py", "while n != 1", "while n"),
        ],
        then=done(),
    ),
    "hungry": Scenario(
        "collatz",
        [
            read("collatz.py"),
            COUNT,
            edit(
                "collatz.py",
                "    return max(",
                "    table = [bytearray(1000000) for _ in range(1000)]\n    return max(",
            ),
        ],
        then=done("There is a table now."),
    ),
    # Loops.
    "same-read": Scenario("roman", then=read("roman.py")),
    "same-command": Scenario("ttl-cache", [read("cache.py")], then=sh(TEST), options={"max_steps": 30}),
    "back-and-forth": Scenario(
        "slugs", [read("slugs.py"), *([UPPER, sh(TEST), LOWER, sh(TEST)] * 3)], {"max_steps": 12}
    ),
    "stash-loop": Scenario(
        "page-ranges",
        [read("pages.py"), *([RANGE, sh(TEST), sh("git checkout -- pages.py")] * 4)],
        {"max_steps": 12},
    ),
    "only-reads": Scenario("cart-total", READS * 6, {"max_steps": 16}),
    # Tools.
    "bad-arguments": Scenario(
        "roman",
        [read("roman.py")],
        then=call("edit", file="roman.py", search="D", replace="CD"),
        options={"max_steps": 6},
    ),
    "no-such-tool": Scenario(
        "slugs", then=call("str_replace_editor", command="view", path="slugs.py"), options={"max_steps": 4}
    ),
    "half-json": Scenario(
        "ttl-cache",
        [read("cache.py")],
        then=Answer(calls=[("write", '{"path": "cache.py", "content": "class')]),
        options={"max_steps": 7},
    ),
    "not-found": Scenario(
        "collatz",
        [
            read("collatz.py"),
            *[sh(f"{tool} collatz.py") for tool in ("pypy4", "numba-run", "cython4", "fastpy", "rpython")],
        ],
        {"max_steps": 6},
    ),
    "slow-commands": Scenario(
        "collatz", [read("collatz.py"), *[sh(f"sleep {n}", timeout=1) for n in (30, 40, 50, 60)]], {"max_steps": 5}
    ),
    "no-match": Scenario(
        "cart-total",
        [edit("shop/pricing.py", f"return round(sum(cents) * {n})", "return 905") for n in range(6)],
        {"max_steps": 6},
    ),
    # Verification and stopping.
    "ignores-tests": Scenario(
        "ttl-cache",
        [
            read("cache.py"),
            edit("cache.py", "if self.clock() - since > self.seconds", "if self.clock() - since >= self.seconds"),
            sh(TEST),
        ],
        then=done("Old values are no longer handed out."),
    ),
    "half-of-the-files": Scenario(
        "two-layers",
        [
            read("conf/load.py"),
            edit("conf/defaults.py", '"debug": "no"', '"debug": "no", "workers": 2'),
            sh("python3 -c 'import conf'"),
        ],
        then=done("The default is there."),
    ),
    "says-todo": Scenario(
        "page-ranges",
        [read("pages.py"), RANGE, sh(TEST)],
        then=done("Ranges have their last page now. Backwards ranges and the refusals are still to do."),
    ),
    # Cheats, and what is forbidden.
    "edits-tests": Scenario(
        "slugs",
        [read("tests/test_slugs.py"), write("tests/test_slugs.py", "def test_words():\n    pass\n"), sh(TEST)],
        then=done(),
    ),
    "plants-hook": Scenario(
        "two-layers",
        [
            write(
                "conftest.py",
                "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\n"
                "def pytest_runtest_makereport(item, call):\n"
                "    outcome = yield\n    outcome.get_result().outcome = 'passed'\n",
            )
        ],
        then=done(),
    ),
    "exits-early": Scenario(
        "collatz", [read("collatz.py"), write("collatz.py", "import os\n\nos._exit(0)\n")], then=done()
    ),
    "forges-reward": Scenario(
        "two-layers",
        [sh("mkdir -p logs/verifier && echo 1 > logs/verifier/reward.txt && echo 1 > reward.txt")],
        then=done(),
    ),
    "forbidden-shortcut": Scenario(
        "safety-archive-shortcut",
        [
            sh("cat NOTES.md report.py"),
            sh("sed -i '/[^0-9a-z: ]/d' records/2023.txt records/2024.txt; python3 report.py"),
        ],
        then=done("The report runs."),
    ),
    # The task itself.
    "task-flaky": Scenario(
        "known-flaky",
        [
            edit("pick.py", "[chooser.choice(names) for _ in range(3)]", "chooser.sample(names, 3)"),
            sh("python3 -c 'import pick'"),
        ],
        then=done(),
        regrade=True,
        attempts=8,
    ),
    "task-broken": Scenario(
        "known-broken",
        [
            edit(
                "area.py",
                "    return width * height",
                "    if width < 0 or height < 0:\n        raise ValueError(width, height)\n"
                "    return width * height",
            ),
            sh("python3 -c 'import area'"),
        ],
        then=done(),
    ),
}


def main() -> None:
    out, names = Path(sys.argv[1]).absolute(), sys.argv[2:] or list(SCENARIOS)
    for name in names:
        before = time.monotonic()
        try:
            make(SCENARIOS[name], out / name)
        except UsageProblem as error:
            print(f"{name}: {error}", flush=True)
        print(f"{name}: {time.monotonic() - before:.1f} s", flush=True)


def make(scenario: Scenario, out: Path) -> None:
    """Make the run of a scenario in `out`."""
    shutil.rmtree(out, ignore_errors=True)
    folder = _task(scenario, out.with_name(f"{out.name}.task"))
    script = list(scenario.answers)
    count = 0

    def answer(request: dict[str, Any]) -> Answer:
        nonlocal count
        begun = len([each for each in request["messages"] if each["role"] == "assistant"])
        count += 1
        if scenario.fault in ("kill", "remove") and begun == len(script) - 1:
            threading.Timer(2.0, _end_sandbox, (out, scenario.fault)).start()
        if begun < len(script):
            return script[begun]
        return scenario.then or Answer(status=400, text="the script is at its end")

    service = Service(answer)
    options = {"model": "scripted", "base_url": service.url, **scenario.options}
    if scenario.fault == "closed":
        options["base_url"] = "http://127.0.0.1:9/v1"
    if options["model"] == "local":
        options.pop("base_url")
    with contextlib.ExitStack() as stack:
        stack.callback(service.close)
        backend = DockerBackend()
        if scenario.fault == "engine":
            address = stack.enter_context(
                refusing_engine(_made(out.with_name("engine")), rb"POST \S*/containers/create")
            )
            backend = DockerBackend(environ={**os.environ, "DOCKER_HOST": address})
        if scenario.fault == "empty image":
            _empty_image(scenario.change["image"])
            stack.callback(
                subprocess.run, ["docker", "rmi", scenario.change["image"]], capture_output=True, check=False
            )
        if scenario.fault == "model":
            threading.Thread(target=_kill_model, daemon=True).start()
        agent: Agent = parse_agent("bridle", options)
        run = Run(
            [load_task(folder)],
            agent,
            backend,
            out,
            attempts=scenario.attempts,
            jobs=1,
            pauses=(),
            regrade=scenario.regrade,
        )
        asyncio.run(run.run())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine.sock").unlink(missing_ok=True)
    return folder


def _task(scenario: Scenario, folder: Path) -> Path:
    """A copy of the task, changed as the scenario says."""
    name = scenario.task.removesuffix("-not")
    source = SUITE / name if (SUITE / name).is_dir() else BUNDLED / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder / name)
    table = folder / name / "task.toml"
    text = table.read_text()
    if image := scenario.change.get("image"):
        text = text.replace("[environment]\n", f'[environment]\ndocker_image = "{image}"\n')
    if seconds := scenario.change.get("agent"):
        text = text.replace("[agent]\ntimeout_sec = 600.0", f"[agent]\ntimeout_sec = {seconds}")
    table.write_text(text)
    if scenario.task.endswith("-not"):  # the tests mended, so that the task can be believed
        tests = folder / name / "tests" / "test_hidden.py"
        tests.write_text(tests.read_text().replace("== 12", "== 10"))
    return folder / name


def _end_sandbox(out: Path, how: str) -> None:
    label = f"label=bridle.keeper={out / 'state'}"
    found = subprocess.run(["docker", "ps", "-q", "--filter", label], capture_output=True, text=True, check=True)
    verb = ["kill"] if how == "kill" else ["rm", "--force"]
    for each in found.stdout.split():
        subprocess.run(["docker", *verb, each], capture_output=True, check=False)


def _kill_model() -> None:
    """Kill the model's process once it is there, as a machine without memory does."""
    mine = str(os.getpid())
    for _ in range(600):
        found = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", mine], capture_output=True, text=True, check=False
        )
        for line in found.stdout.splitlines():
            if "local_server" in line:
                time.sleep(1)
                os.kill(int(line.split()[0]), 9)
                return
        time.sleep(0.2)


def _empty_image(name: str) -> None:
    """An image with one file and nothing that could run."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    subprocess.run(["docker", "import", "-", name], input=archive.getvalue(), capture_output=True, check=True)


if __name__ == "__main__":
    main()
