import json
import subprocess
from pathlib import Path

CASES = Path(__file__).parent / "cases.js"


def said(case):
    """Each case is a process of its own. What it saw is compared here, where the code under test does not run."""
    done = subprocess.run(["node", str(CASES), case], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-1500:]
    return json.loads(done.stdout.splitlines()[-1])


def test_values():
    assert said("values") == [17, "b", None, [4]]


def test_limits():
    assert said("limits") == [
        "RangeError", "nothing", "RangeError", "RangeError", "nothing", "RangeError", "RangeError", "RangeError", "RangeError",
        2, [0], 4, [0],
    ]


def test_order():
    assert said("order") == ["first", "f", "b", "d", "a", "e", "c"]


def test_at_once():
    assert said("at_once") == ["one", "one,two", 2, 1, "one,two,three", 2, 0]


def test_failures():
    assert said("failures") == ["no", "no", "undefined", "fine", "no", 23, 0, 0]


def test_aborts():
    assert said("aborts") == ["mind", 1, "mind", 1, "end", "one", "three"]


def test_aborts_while_running():
    assert said("aborts_while_running") == [1, 0, 7]


def test_listeners():
    assert said("listeners") == ["done", "done", "done", 5]


def test_pausing():
    assert said("pausing") == ["one", 1, 0, "one,two", 34]


def test_idle():
    assert said("idle") == ["nothing", "one", "one,two,idle"]


def test_idle_after_an_abort():
    assert said("idle_after_an_abort") == [2, 0, "gone", "gone", "nothing", 0]


def test_settled_means_not_running():
    assert said("settled_means_not_running") == ["settled", 1, "refused", 2]


def test_many():
    assert said("many") == [2000, 824, 1001275]
