"""Runs tests in a grading sandbox. Read by the sandbox's Python with -I, so nothing of the workspace is imported
before pytest is.

Standard input is JSON: `workspace` (folders of the code under test, for sys.path), `tests` (this run's test
files), `closed` (those import nothing of the workspace), `installed` (modules that come from the image where it
has them), `ids`, `own` (the ids are of files in the workspace, to be run as the repository has it), `log` (where
what is printed goes) and `nonce`. Standard output is a pipe to another user's process:
the results go there as JUnit, and nothing else does.

Threat model: the code under test runs in this process. What it can reach here it can change; the host believes
only what comes out right for the tests and for their twins.
"""

import importlib
import json
import os
import sys


def main() -> int:
    asked = json.load(sys.stdin)
    for name in [each for each in os.environ if each.startswith(("PYTEST", "PYTHON", "COVERAGE", "COV_"))]:
        del os.environ[name]
    if not asked["own"]:
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(asked["workspace"])  # for programs that the tests start
    sys.dont_write_bytecode = True
    import pytest

    results = os.dup(1)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for name in asked["installed"]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 -- not there, or not usable: then a test says so
            continue
    tests = asked["tests"]
    sys.path[:0] = [tests, *([] if asked["closed"] else asked["workspace"])]
    os.chdir(asked["workspace"][-1])
    closed = [
        "-p",
        "no:cacheprovider",
        f"--rootdir={tests}",
        f"--confcutdir={tests}",
        "-c",
        os.path.join(tests, "pytest.ini"),
        "--import-mode=importlib",
    ]
    arguments = [
        "-q",
        "--maxfail=0",  # whatever the configuration says: twins fail
        *([f"--rootdir={os.getcwd()}", "--tb=short"] if asked["own"] else closed),
        f"--junitxml=/proc/self/fd/{results}",
        "-o",
        f"junit_suite_name={asked['nonce']}",
        "-o",
        "junit_logging=no",
        *[each if asked["own"] else os.path.join(tests, each) for each in asked["ids"]],
    ]
    return int(pytest.main(arguments))


if __name__ == "__main__":
    sys.exit(main())
