"""Runs the expected tests in a grading sandbox. Read by the sandbox's Python with -I, so nothing of the workspace
is imported before pytest is.

Standard input is JSON: `workspace` (folders of the code under test, for sys.path), `tests` (this task's test
files), `ids`, `results` (where JUnit goes), `nonce`, and `inverted`: every test that passes has to come out as
failed, with the nonce in its message. Whoever forges results without looking makes them pass there, too.

Threat model: the code under test runs in this process. What it can reach here it can change; the host believes
nothing that did not come out right in both runs.
"""

import json
import os
import sys


def main() -> int:
    asked = json.load(sys.stdin)
    for name in [each for each in os.environ if each.startswith(("PYTEST", "PYTHON", "COVERAGE", "COV_"))]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(asked["workspace"])  # for programs that the tests start
    sys.dont_write_bytecode = True
    import pytest

    nonce = asked["nonce"]

    class Inverted:
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_pyfunc_call(self, pyfuncitem):  # type: ignore[no-untyped-def]
            outcome = yield
            outcome.get_result()
            raise AssertionError(nonce)

    tests = asked["tests"]
    sys.path[:0] = [*asked["workspace"], tests]
    os.chdir(asked["workspace"][-1])
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tests}",
        f"--confcutdir={tests}",
        "-c",
        os.path.join(tests, "pytest.ini"),
        "--import-mode=importlib",
        f"--junitxml={asked['results']}",
        "-o",
        f"junit_suite_name={nonce}",
        "-o",
        "junit_logging=no",
        *[os.path.join(tests, each) for each in asked["ids"]],
    ]
    return int(pytest.main(arguments, plugins=[Inverted()] if asked["inverted"] else []))


if __name__ == "__main__":
    sys.exit(main())
