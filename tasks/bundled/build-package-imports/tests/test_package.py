import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path.cwd()
SOURCE = HERE / "src" / "tidemark"
REPORT = "Brest         7.1  1.2\nCuxhaven      3.9  0.7\n"


def python(tmp_path, code, *options):
    """Run code with a copy of the package that lies elsewhere, from another folder."""
    if not (tmp_path / "lib").exists():
        shutil.copytree(SOURCE, tmp_path / "lib" / "tidemark")
        (tmp_path / "work").mkdir()
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r})\n{code}"
    command = [sys.executable, "-I", "-B", "-W", "error", "-c", code, *options]
    return subprocess.run(command, cwd=tmp_path / "work", capture_output=True, text=True)


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        if not name.endswith("__main__"):
            yield name, path


def project():
    return tomllib.loads((HERE / "pyproject.toml").read_text())


def test_each_module_can_come_first(tmp_path):
    names = [name for name, _ in modules()]
    assert {"tidemark", "tidemark.ports", "tidemark.report", "tidemark.formats", "tidemark.command"} <= set(names)
    for name in names:
        done = python(tmp_path, f"import {name}")
        assert done.returncode == 0, (name, done.stderr)


def test_what_stays(tmp_path):
    code = """
import tidemark
from tidemark import Port, port, report
from tidemark.ports import Port as P, port as p
from tidemark.report import report as r
from tidemark.formats import footer, line
assert (P, p, r) == (Port, port, report)
print(port("Brest"))
print(report(["Brest", Port("Here", [1, 2])]), end="")
print(footer(), tidemark.__version__, line("a", 1, 2))
"""
    done = python(tmp_path, code)
    brest = "Brest         7.1  1.2\n"
    assert done.stdout == f"{brest}{brest}Here          2.0  1.0\ntidemark 1.4.0 1.4.0 a             1.0  2.0\n", done.stderr


def test_from_another_folder(tmp_path):
    done = python(tmp_path, "from tidemark.command import main; sys.exit(main(['Brest', 'Cuxhaven']))")
    assert (done.returncode, done.stdout) == (0, REPORT + "tidemark 1.4.0\n"), done.stderr
    done = python(tmp_path, "from tidemark.command import main; sys.exit(main(['Nowhere']))")
    assert (done.returncode, done.stderr) == (2, "tidemark: no port 'Nowhere'\n")


def test_run_as_a_module(tmp_path):
    run = "import runpy; runpy.run_module('tidemark', run_name='__main__', alter_sys=True)"
    done = python(tmp_path, run, "Brest")
    assert (done.returncode, done.stdout) == (0, REPORT.splitlines()[0] + "\ntidemark 1.4.0\n"), done.stderr
    assert python(tmp_path, run, "Nowhere").returncode == 2


def test_imports_stand_at_the_top():
    for name, path in modules():
        body = ast.parse(path.read_text()).body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        kinds = (ast.Import, ast.ImportFrom)
        head = 0
        while head < len(body) and isinstance(body[head], kinds):
            head += 1
        late = [node for rest in body[head:] for node in ast.walk(rest) if isinstance(node, kinds)]
        assert not late, name
        assert "import_module" not in path.read_text() and "__import__" not in path.read_text(), name
        assert "__getattr__" not in path.read_text(), name


def test_imports_go_one_way():
    known = dict(modules())
    uses = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                uses[name] |= {alias.name for alias in node.names} & set(known)
            elif isinstance(node, ast.ImportFrom):
                package = name if path.name == "__init__.py" else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                found = {f"{base}.{alias.name}" for alias in node.names} & set(known)
                uses[name] |= found or ({base} & set(known))
    reached = {name: set(direct) for name, direct in uses.items()}
    for _ in known:
        for name in known:
            reached[name] |= set().union(*(reached[other] for other in reached[name]), set())
    assert not [name for name in known if name in reached[name]]


def test_the_metadata():
    said = project()
    assert (said["project"]["name"], said["build-system"]["build-backend"]) == ("tidemark", "setuptools.build_meta")
    assert said["project"].get("dependencies", []) == []
    assert said["project"]["scripts"] == {"tidemark": "tidemark.command:main"}
    assert said["project"]["requires-python"].replace(" ", "") == ">=3.11"


def test_one_version(tmp_path):
    said = project()
    version = said["project"].get("version")
    if version is None:
        assert said["project"]["dynamic"] == ["version"]
        where = said["tool"]["setuptools"]["dynamic"]["version"]["attr"]
        module, _, name = where.rpartition(".")
        version = python(tmp_path, f"import {module}; print({where})").stdout.strip()
    assert version == "1.4.0"
    assert python(tmp_path, "import tidemark; print(tidemark.__version__)").stdout == "1.4.0\n"


def test_everything_comes_along():
    table = project()["tool"]["setuptools"]
    assert table.get("package-dir", {"": "src"}) == {"": "src"}
    packages = table.get("packages", {"find": {"where": ["src"]}})
    wanted = {".".join(path.parent.relative_to(SOURCE.parent).parts) for path in SOURCE.rglob("__init__.py")}
    if isinstance(packages, list):
        assert set(packages) == wanted
    else:
        assert packages["find"]["where"] == ["src"]
        assert packages["find"].get("namespaces") is False or "tables" in str(packages["find"].get("exclude", "tables"))
        assert set(packages["find"]) <= {"where", "include", "namespaces", "exclude"}
    data = table.get("package-data", {})
    found = {
        path.name
        for package, patterns in data.items()
        for pattern in patterns
        for path in (SOURCE if package in ("tidemark", "*") else SOURCE.joinpath(*package.split(".")[1:])).glob(pattern)
    }
    assert "ports.json" in found
    assert (SOURCE / "tables" / "ports.json").is_file()
