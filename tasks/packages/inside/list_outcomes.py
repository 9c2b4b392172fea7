"""Runs test files in a sandbox and says how each test came out. Read by the sandbox's Python with -I.

Standard input is JSON: `workspace` (folders of the code under test, for sys.path), `tests` (the folder of tests),
`files` (paths below it) and `log` (where what is printed goes). Standard output is one JSON object: test id to
passed, failed or skipped.

Threat model: the code under test runs in this process and can say what it likes; the task that is drafted from
this is proven by the grader afterwards.
"""

import json
import os
import sys


def main() -> int:
    asked = json.load(sys.stdin)
    for name in [each for each in os.environ if each.startswith(("PYTEST", "PYTHON", "COVERAGE", "COV_"))]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(asked["workspace"])
    sys.dont_write_bytecode = True
    import pytest

    results = os.dup(1)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    found: dict[str, str] = {}

    class Listener:
        def pytest_runtest_logreport(self, report):  # type: ignore[no-untyped-def]
            bad = report.outcome == "failed" or hasattr(report, "wasxfail")
            if bad or report.outcome == "skipped" or report.when == "call":
                worse = found.get(report.nodeid, "passed") != "passed"
                found[report.nodeid] = "failed" if bad or worse else report.outcome

    tests = asked["tests"]
    sys.path[:0] = [*asked["workspace"], tests]
    os.chdir(asked["workspace"][-1])
    fixed = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tests}",
        f"--confcutdir={tests}",
        "--import-mode=importlib",
    ]
    files = [os.path.join(tests, each) for each in asked["files"]]
    pytest.main([*fixed, "-c", os.path.join(tests, "pytest.ini"), *files], plugins=[Listener()])
    os.write(results, json.dumps(found).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
