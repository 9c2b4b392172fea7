import secrets
import subprocess
from pathlib import Path

CASES = Path(__file__).parent / "cases.js"


def passes(name):
    """Each case is a process of its own, and has to say a word that was not known before, at its end."""
    word = secrets.token_hex(8)
    done = subprocess.run(["node", str(CASES), name, word], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{word} passed\n"), done.stderr[-1500:]


def test_values():
    passes("values")


def test_limits():
    passes("limits")


def test_order():
    passes("order")


def test_at_once():
    passes("at_once")


def test_failures():
    passes("failures")


def test_aborts():
    passes("aborts")


def test_aborts_while_running():
    passes("aborts_while_running")


def test_listeners():
    passes("listeners")


def test_pausing():
    passes("pausing")


def test_idle():
    passes("idle")


def test_idle_after_an_abort():
    passes("idle_after_an_abort")


def test_settled_means_not_running():
    passes("settled_means_not_running")


def test_many():
    passes("many")
