"""Which folders of the host a sandbox shows: toolchains, and nothing that may hold secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandboxes.protocol import SandboxUnavailable
from sandboxes.toolchain import find_toolchain, is_safe


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "people" / "ann"
    place.mkdir(parents=True)
    return place


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def python_in(prefix: Path) -> Path:
    program(prefix / "bin" / "python3")
    (prefix / "lib" / "python3.11").mkdir(parents=True)
    return prefix


def venv_in(prefix: Path, base: Path) -> Path:
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3").symlink_to(base / "bin" / "python3")
    (prefix / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\nversion = 3.11.7\n")
    (prefix / "lib" / "python3.11").mkdir(parents=True)
    return prefix


def mine(mounts: tuple[Path, ...], tmp_path: Path) -> set[str]:
    """The mounts that a test made, without what this machine's own Python needs."""
    return {str(m.relative_to(tmp_path)) for m in mounts if m.is_relative_to(tmp_path)}


def test_a_virtual_environment_brings_the_python_it_is_made_from(tmp_path: Path, home: Path) -> None:
    base = python_in(home / ".pyenv" / "versions" / "3.11.7")
    venv = venv_in(home / "code" / "project" / ".venv", base)
    tools = find_toolchain({"VIRTUAL_ENV": str(venv), "PATH": f"{venv}/bin:/usr/bin"}, home=home)
    assert mine(tools.mounts, tmp_path) == {
        "people/ann/code/project/.venv",
        "people/ann/.pyenv/versions/3.11.7",
    }
    assert tools.path[0] == f"{venv}/bin"
    assert tools.virtual_env == venv


def test_extra_installations_come_first(tmp_path: Path, home: Path) -> None:
    extra = python_in(tmp_path / "opt" / "python")
    other = python_in(tmp_path / "opt" / "other")
    tools = find_toolchain({"PATH": f"{other}/bin"}, [extra], home)
    assert tools.path[:2] == (f"{extra}/bin", f"{other}/bin")
    assert mine(tools.mounts, tmp_path) == {"opt/python", "opt/other"}


def test_shims_stand_for_the_versions_behind_them(tmp_path: Path, home: Path) -> None:
    root = home / ".pyenv"
    for version in ("3.9.1", "3.11.2", "3.11.10", "3.12.0"):
        python_in(root / "versions" / version)
    program(root / "shims" / "python3")
    (root / "version").write_text("3.11\n3.9.1\n")
    path = f"{root}/shims:{root}/bin:/usr/bin"
    tools = find_toolchain({"PATH": path, "PWD": str(home)}, home=home)
    assert tools.path[:2] == (f"{root}/versions/3.11.10/bin", f"{root}/versions/3.9.1/bin")
    assert mine(tools.mounts, tmp_path) == {
        "people/ann/.pyenv/versions/3.11.10",
        "people/ann/.pyenv/versions/3.9.1",
    }
    (home / ".python-version").write_text("3.12.0\n")
    assert find_toolchain({"PATH": path, "PWD": str(home)}, home=home).path[0].endswith("3.12.0/bin")
    chosen = {"PATH": path, "PWD": str(home), "PYENV_VERSION": "3.9.1"}
    assert find_toolchain(chosen, home=home).path[0].endswith("3.9.1/bin")


@pytest.mark.parametrize("name", ["../../..", "/etc", "..", "3.11.7/../../../.ssh", "system"])
def test_a_repositorys_python_version_chooses_only_among_the_installed(
    home: Path, tmp_path: Path, name: str
) -> None:
    root = home / ".pyenv"
    python_in(root / "versions" / "3.11.7")
    program(root / "shims" / "python3")
    program(home / ".ssh" / "bin" / "python3")
    (home / ".python-version").write_text(name)
    tools = find_toolchain({"PATH": f"{root}/shims", "PWD": str(home)}, home=home)
    assert mine(tools.mounts, tmp_path) == set()


def test_rustup_stands_for_its_default_toolchain(tmp_path: Path, home: Path) -> None:
    program(home / ".cargo" / "bin" / "rustup")
    program(home / ".rustup" / "toolchains" / "stable" / "bin" / "cargo")
    (home / ".rustup" / "toolchains" / "stable" / "lib" / "rustlib").mkdir(parents=True)
    (home / ".rustup" / "settings.toml").write_text('version = "12"\ndefault_toolchain = "stable"\n')
    tools = find_toolchain({"PATH": f"{home}/.cargo/bin"}, home=home)
    assert tools.path[:2] == (f"{home}/.rustup/toolchains/stable/bin", f"{home}/.cargo/bin")
    assert mine(tools.mounts, tmp_path) == {"people/ann/.rustup/toolchains/stable", "people/ann/.cargo/bin"}


def test_a_folder_of_scripts_is_shown_alone(tmp_path: Path, home: Path) -> None:
    project = home / "code" / "project"
    program(project / "bin" / "tool")
    (project / ".env").write_text("SECRET=1")
    program(home / "bin" / "tool")
    program(home / ".local" / "bin" / "tool")
    path = f"{project}/bin:{home}/bin:{home}/.local/bin:relative:.:"
    tools = find_toolchain({"PATH": path}, home=home)
    assert mine(tools.mounts, tmp_path) == {
        "people/ann/code/project/bin",
        "people/ann/bin",
        "people/ann/.local/bin",
    }


def test_no_folder_with_secrets_and_none_above_one(tmp_path: Path, home: Path) -> None:
    for name in (".ssh", ".aws", ".config/tool", ".gnupg", ".docker", ".kube"):
        program(home / name / "bin" / "tool")
    python_in(home)  # even when it looks like an installation
    names = [home / ".ssh", home / ".ssh/bin", home / ".config/tool/bin", home, home.parent, tmp_path, Path("/")]
    tools = find_toolchain({"PATH": ":".join(str(n) for n in names)}, home=home)
    assert mine(tools.mounts, tmp_path) == set()
    for folder in (home, home.parent, Path("/"), Path("/home"), Path("/etc"), Path("/proc/self"), home / ".aws"):
        assert not is_safe(folder, home)


def test_links_out_of_a_repository_are_not_followed_into_secrets(tmp_path: Path, home: Path) -> None:
    secret = python_in(home / ".ssh")
    link = home / "project" / ".venv"
    link.parent.mkdir()
    link.symlink_to(secret)
    with pytest.raises(SandboxUnavailable, match="secrets"):
        find_toolchain({}, [link], home)
    link.unlink()
    venv_in(link, secret)
    tools = find_toolchain({}, [link], home)
    assert mine(tools.mounts, tmp_path) == {"people/ann/project/.venv"}


def test_a_missing_installation_is_said(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="missing"):
        find_toolchain({}, [tmp_path / "nothing"], home)


def test_there_is_always_a_python(home: Path) -> None:
    tools = find_toolchain({"PATH": ""}, home=home)
    assert any((Path(folder) / "python3").exists() for folder in tools.path)
    assert Path(tools.pythons[0]).exists()
