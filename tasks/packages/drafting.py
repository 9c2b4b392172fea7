"""A task drafted from two releases: what changed, and which of the newer tests tell the releases apart.

    two archives → changed files, tests that changed → run them with both releases, in sandboxes → task.toml

Threat model: the archives are foreign. Their tests run in sandboxes without a network, and what comes back is
bounded and parsed. A draft is no proof: `bridle suite check` is.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter, ValidationError

from agent.outcomes import UsageProblem
from agent.workspace import open_workspace
from sandboxes.protocol import GIVEN, WORKSPACE, Backend
from tasks.environments.prepare import prepare
from tasks.format.source import Release, Source, TestFiles
from tasks.format.tables import Difficulty, Split, is_pytest_id
from tasks.format.task import load_task
from tasks.grading.kit import add
from tasks.packages.fetched import Files, cache_folder, tests_of, write_files
from tasks.packages.index import Index, find_index, find_release, sources
from tasks.packages.unpacking import members

MOST_REGRESSION = 80
"""How many of the tests that pass with both releases a draft takes, spread evenly."""
TAKE = ("/*", "!*.egg-info/", "!/PKG-INFO")
SECONDS = 600.0
MAX_OUTPUT = 8 << 20
_INSIDE = Path(__file__).parent / "inside" / "list_outcomes.py"
_LOG = "/tmp/draft.log"  # noqa: S108 -- inside
_TESTS = ("test", "tests", "testing")
_OUTCOMES = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the author says of the task. `root` is the folder of tests; None for the one with the most files.

    `only` is a regular expression: of the tests that tell the releases apart, those of this bug.
    """

    package: str
    versions: tuple[str, str]
    instruction: str
    root: str | None = None
    only: str = ""
    difficulty: Difficulty = "medium"
    split: Split = "public"


@dataclass(frozen=True, slots=True)
class Drafted:
    """How many tests fail with the broken release only, how many of those were left out, how many always pass."""

    telling: int
    left_out: int
    passing: int


async def draft(wanted: Wanted, target: Path, backend: Backend, index: Index | None = None) -> Drafted:
    """Write a task to `target`, which must not exist. Raises UsageProblem, SandboxError."""
    if target.exists():
        raise UsageProblem(f"{target} is there already; name another folder")
    index = index or find_index()
    found = [await asyncio.to_thread(find_release, wanted.package, each, index) for each in wanted.versions]
    releases = [Release(version=each.version, sha256=each.sha256) for each in found]
    paths = await asyncio.to_thread(sources, wanted.package, releases, cache_folder(), index)
    broken, fixed = (dict(members(path)) for path in paths)
    root = wanted.root or _root(fixed)
    changed = sorted(str(name) for name in {*broken, *fixed} if broken.get(name) != fixed.get(name))
    locations = [each for each in changed if each.endswith(".py") and not _is_test(each) and each != "setup.py"]
    ran = [each for each in changed if each.endswith(".py") and PurePosixPath(each).is_relative_to(root)]
    files = [str(PurePosixPath(each).relative_to(root)) for each in ran if PurePosixPath(each) in fixed]
    files = [each for each in files if PurePosixPath(each).name.startswith("test") or each.endswith("_test.py")]
    if not locations or not files:
        what = "tests" if locations else "code"
        raise UsageProblem(f"{wanted.package}: nothing differs in the {what} of the two releases")
    source = Source(
        package=wanted.package,
        license=_license(fixed),
        broken=releases[0],
        fixed=releases[1],
        take=TAKE,
        tests=TestFiles(root=root, paths=("*",)),
    )
    new = {
        **broken,
        **{PurePosixPath(each): fixed[PurePosixPath(each)] for each in locations if _has(fixed, each)},
    }
    before, after = [await _outcomes(source, each, fixed, files, backend) for each in (broken, new)]
    passing = [each for each in after if after[each] == "passed" and is_pytest_id(each)]
    telling = [each for each in passing if before.get(each) != "passed"]
    chosen = [each for each in telling if re.search(wanted.only, each)]
    if not chosen:
        raise UsageProblem(f"no test of {wanted.package} {source.fixed.version} fails with the older release only")
    kept = _spread([each for each in passing if before.get(each) == "passed"])
    _write(target, wanted, source, found[1].date, locations, chosen, kept)
    return Drafted(len(chosen), len(telling) - len(chosen), len(kept))


async def _outcomes(
    source: Source, workspace: Files, fixed: Files, files: Sequence[str], backend: Backend
) -> Mapping[str, str]:
    """How the tests come out with the files of one release, in a sandbox of their own."""
    with TemporaryDirectory(prefix="bridle-draft-") as folder:
        place = Path(folder) / "task"
        write_files(place / "environment" / "files", workspace)
        write_files(place / "tests", {PurePosixPath("test.sh"): b""})
        (place / "task.toml").write_text("")
        (place / "instruction.md").write_text("drafted\n")
        prepared = await asyncio.to_thread(prepare, load_task(place), Path(folder) / "made")
        kit = Path(folder) / "kit.tar"
        with tarfile.open(kit, "w") as tar:
            add(tar, "list_outcomes.py", _INSIDE.read_bytes())
            tests = {PurePosixPath("pytest.ini"): b"[pytest]\n", **tests_of(source, fixed, place)}
            for name, data in tests.items():
                add(tar, f"tests/{name}", data)
        source_folder = any(name.parts[0] == "src" for name in workspace)
        asked = {
            "workspace": [f"{WORKSPACE}/src", WORKSPACE] if source_folder else [WORKSPACE],
            "tests": f"{GIVEN}/tests",
            "files": list(files),
            "log": _LOG,
        }
        spec = prepared.spec("suite.draft", Path(folder) / "state")
        sandbox = await open_workspace(backend, spec, prepared.archive, WORKSPACE)
        try:
            await sandbox.give(kit)
            command = ["python3", "-I", "-B", f"{GIVEN}/list_outcomes.py"]
            data = json.dumps(asked).encode()
            result = await sandbox.exec(command, cwd="/", stdin=data, timeout=SECONDS, max_output=MAX_OUTPUT)
            log = await sandbox.exec(["tail", "-n", "1", _LOG], cwd="/", timeout=30)
        finally:
            await sandbox.close()
    try:
        found = _OUTCOMES.validate_json(result.output.text())
    except ValidationError as error:
        last = (log if log.exit_code == 0 else result).output.text().strip().splitlines() or [result.ending]
        raise UsageProblem(f"the tests of {source.package} cannot be run: {last[-1][:300]}") from error
    return found


def _write(
    target: Path,
    wanted: Wanted,
    source: Source,
    date: str,
    locations: Sequence[str],
    chosen: Sequence[str],
    kept: Sequence[str],
) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    lines = [
        'schema_version = "1.1"\n',
        "[verifier]\ntimeout_sec = 600.0\n",
        "[agent]\ntimeout_sec = 1800.0\n",
        f'[bridle]\ncategory = "bug-fix"\ndifficulty = "{wanted.difficulty}"\nsplit = "{wanted.split}"',
        *([f"date = {date}"] if date else []),
        f"locations = {_array(locations)}",
        f"expected = {_array([*chosen, *kept])}",
        f"regression = {_array(kept)}\n",
        f"[bridle.source]\npackage = {_text(source.package)}\nlicense = {_text(source.license)}",
        *(
            f'{name} = {{ version = {_text(each.version)}, sha256 = "{each.sha256}" }}'
            for name, each in (("broken", source.broken), ("fixed", source.fixed))
        ),
        f"take = {_array(source.take)}",
        f"tests = {{ root = {_text(source.tests.root or '.')}, paths = {_array(source.tests.paths)} }}",
    ]
    (part / "task.toml").write_text("\n".join(lines) + "\n")
    (part / "instruction.md").write_text(wanted.instruction.strip() + "\n")
    part.replace(target)


def _array(values: Sequence[str]) -> str:
    if len(values) < 2:
        return f"[{', '.join(map(_text, values))}]"
    return "[\n" + "".join(f"    {_text(each)},\n" for each in values) + "]"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's, which also escapes what TOML forbids."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def _spread(ids: Sequence[str]) -> list[str]:
    count = min(len(ids), MOST_REGRESSION)
    return [ids[place * len(ids) // count] for place in range(count)]


def _is_test(path: str) -> bool:
    *folders, name = PurePosixPath(path).parts
    return name == "conftest.py" or name.startswith("test_") or any(each in _TESTS for each in folders)


def _has(files: Files, name: str) -> bool:
    return PurePosixPath(name) in files


def _root(fixed: Files) -> str:
    """The folder of tests with the most files. Raises UsageProblem when there is none."""
    count: Counter[str] = Counter()
    for name in fixed:
        place = next((number for number, each in enumerate(name.parts[:-1]) if each in _TESTS), None)
        if place is not None and name.suffix == ".py":
            count[str(PurePosixPath(*name.parts[: place + 1]))] += 1
    if not count:
        raise UsageProblem(
            "the source archive has no folder of tests: name one with --tests, or take another release"
        )
    return count.most_common(1)[0][0]


def _license(fixed: Files) -> str:
    """What the release says its licence is; `unknown` when that is no short name."""
    about = fixed.get(PurePosixPath("PKG-INFO"), b"").decode("utf-8", "replace").partition("\n\n")[0]
    found = re.search(r"^License-Expression: (.+)$", about, re.MULTILINE) or re.search(
        r"^License: (.+)$", about, re.MULTILINE
    )
    return found[1].strip()[:80] if found else "unknown"
