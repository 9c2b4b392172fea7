"""Runs a project's tests for each of some versions of its files, in processes of their own, one after the other.

Standard input is JSON: `workspace` (folders for sys.path), `tests` (where the test files lie), `select` (more
arguments for pytest), `versions`, `seconds` (for each), `trace` (whether to note the lines that tests reach),
`results` (a file to write). A version is `files` ({path: text in latin-1}, none for the project as it is) and
`ids` (of tests, none for all). Its files are put back before the next one begins.
"""

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any, Dict, List, Set

MAX_CALLS = 3000


def main() -> None:
    asked = json.load(sys.stdin)
    for name in [each for each in os.environ if each.startswith(("PYTEST", "COVERAGE", "COV_"))]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(asked["workspace"])
    sys.dont_write_bytecode = True
    import pytest  # noqa: F401 -- imported once, for all versions

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    import bridle_tell  # type: ignore[import-not-found]  # noqa: F401 -- as above

    sys.path.remove(here)
    sys.path[:0] = [*asked["workspace"], asked["tests"]]
    os.chdir(asked["workspace"][-1])
    with open(asked["results"], "w") as out:
        for each in asked["versions"]:
            out.write(json.dumps(version(asked, each["files"], each["ids"])) + "\n")
            out.flush()


def version(asked: Any, files: Any, ids: List[str]) -> Dict[str, Any]:
    """The results of one version: what the child process wrote, or how it ended without."""
    before = {}
    part = asked["results"] + ".part"
    if os.path.exists(part):
        os.unlink(part)
    try:
        for path, text in files.items():
            with open(path, "rb") as file:
                before[path] = file.read()
            with open(path, "wb") as file:
                file.write(text.encode("latin-1"))
        ending = in_child(asked, ids, part)
    finally:
        for path, data in before.items():
            with open(path, "wb") as file:
                file.write(data)
    try:
        with open(part) as file:
            found = json.load(file)
    except (OSError, ValueError):
        found = {"tests": {}, "problem": ending or "no results"}
    return dict(found, ending=ending)


def in_child(asked: Any, ids: List[str], part: str) -> str:
    """Run the tests in a child process; how it ended when that was not by itself."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        code = 1
        try:
            run(asked, ids, part)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    end = time.monotonic() + asked["seconds"]
    ending = ""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            ending = ending or ("killed" if os.WIFSIGNALED(status) else "")
            break
        if time.monotonic() > end:
            ending = "timeout"
            kill(child)
        time.sleep(0.005)
    kill(child)
    return ending


def kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:  # nothing of it is left
        pass


def run(asked: Any, ids: List[str], part: str) -> None:
    import bridle_tell
    import pytest

    watch = Watch(bridle_tell.Teller(asked["workspace"], asked["tests"]), asked)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        tests = asked["tests"]
        arguments = [
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir=" + tests,
            "--confcutdir=" + tests,
            "-c",
            os.path.join(tests, "pytest.ini"),
            "--import-mode=importlib",
            "--tb=short",
            *chosen(tests, asked["select"], ids),
        ]
        start = time.monotonic()
        try:
            watch.trace(asked["trace"])
            pytest.main(arguments, plugins=[watch])
        finally:
            sys.settrace(None)
    found = {"tests": watch.tests, "problem": watch.problem, "seconds": time.monotonic() - start}
    found["lines"] = watch.lines()
    with open(part + ".new", "w") as file:
        json.dump(found, file)
    os.replace(part + ".new", part)


def chosen(tests: str, select: List[str], ids: List[str]) -> List[str]:
    """The arguments that say which tests run: ids go before paths among `select`, and both before all of them."""
    paths: List[str] = []
    options: List[str] = []
    for each in select:
        place = os.path.join(tests, each)
        is_path = not each.startswith("-") and os.path.exists(place.partition("::")[0])
        (paths if is_path else options).append(place if is_path else each)
    return [*options, *([os.path.join(tests, each) for each in ids] or paths or [tests])]


class Watch:
    """A pytest plugin: results by id, what failures saw, and the lines that were reached."""

    def __init__(self, teller: Any, asked: Any) -> None:
        self.teller, self.problem, self.now = teller, "", ""
        self.tests: Dict[str, Any] = {}
        self.roots = [os.path.realpath(each) + os.sep for each in asked["workspace"]]
        self.reached: Dict[str, Dict[int, Set[str]]] = {}
        self.calls: Dict[Any, int] = {}
        self.names: Dict[Any, str] = {}

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.problem:
            self.problem = "collection: %s" % (report.nodeid or "?")

    def pytest_assertrepr_compare(self, config: Any, op: Any, left: Any, right: Any) -> None:
        self.teller.compared = (op, left, right)

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self.now, self.teller.compared = nodeid, None
        self.calls.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        known = self.tests.setdefault(report.nodeid, {"result": "passed", "saw": None, "seconds": 0.0, "times": 0})
        known["seconds"] += report.duration
        known["times"] += report.when == "setup"
        if report.failed:
            known["result"] = "failed" if report.when == "call" else "error"
        elif report.skipped and known["result"] == "passed":
            known["result"] = "skipped"
        if getattr(report, "bridle_saw", None) is not None:
            known["saw"] = report.bridle_saw

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        import pytest

        report = pytest.TestReport.from_item_and_call(item, call)
        if call.excinfo is not None and report.failed:
            tracing = sys.gettrace()
            sys.settrace(None)
            with contextlib.suppress(Exception):  # a value of the project's that cannot even be looked at
                vars(report)["bridle_saw"] = self.teller.tell(call.excinfo.value, call.excinfo.tb)
            sys.settrace(tracing)
        return report

    def trace(self, wanted: bool) -> None:
        if wanted:
            import threading

            threading.settrace(self._enter)
            sys.settrace(self._enter)

    def _enter(self, frame: Any, event: str, _: Any) -> Any:
        code = frame.f_code
        name = self.names.get(code)
        if name is None:
            path = os.path.realpath(code.co_filename)
            made = code.co_filename.startswith("<")  # of no file, such as what exec was given
            root = next((each for each in self.roots if path.startswith(each) and not made), None)
            name = self.names[code] = path if root else ""
        if not name:
            return None
        times = self.calls[code] = self.calls.get(code, 0) + 1
        if times > MAX_CALLS:
            return None
        seen = self.reached.setdefault(name, {})

        def line(frame: Any, event: Any, _: Any) -> Any:
            if event == "line":
                seen.setdefault(frame.f_lineno, set()).add(self.now)
            return line

        return line

    def lines(self) -> Dict[str, Dict[str, List[int]]]:
        """Each file's reached lines with the tests that reach them, by number; 0 stands for the collection."""
        numbers = {name: n for n, name in enumerate(["", *self.tests])}
        return {
            path: {str(line): sorted(numbers[t] for t in tests if t in numbers) for line, tests in lines.items()}
            for path, lines in self.reached.items()
        }


if __name__ == "__main__":
    main()
