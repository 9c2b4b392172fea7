"""What deserves a second look."""

from __future__ import annotations

from typing import Any

import pytest

from agent.repository.flags import flag
from agent.repository.names import is_git_own, link_danger, quoted, shown, unquoted


async def flags(lab: Any, path: str | bytes, content: bytes = b"x\n", mode: int = 0o100644) -> set[str]:
    name = path if isinstance(path, bytes) else path.encode()
    changes = await lab.take_out_tree(lab.tree() | {name: (mode, content)})
    return {each.kind for each in flag(changes) if each.path == name}


@pytest.mark.parametrize(
    "path",
    [
        ".githooks/pre-commit",
        "sub/.husky/pre-push",
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/CI.yml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".circleci/config.yml",
        "azure-pipelines.yml",
        ".vscode/tasks.json",
        ".VSCode/settings.json",
        ".vs\u200ccode/settings.json",
        ".vscode./settings.json",
        "a\nb/.vscode/tasks.json",
        ".idea/workspace.xml",
        ".devcontainer/devcontainer.json",
        "x.code-workspace",
        "package.json",
        "web/package.json",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "conftest.py",
        "tests/conftest.py",
        "tox.ini",
        "noxfile.py",
        "Makefile",
        "sub/GNUmakefile",
        "build.rs",
        ".cargo/config.toml",
        ".npmrc",
        ".yarnrc.yml",
        "pip.conf",
        ".pre-commit-config.yaml",
        ".envrc",
        "mise.toml",
        ".tool-versions",
        "CLAUDE.md",
        "docs/AGENTS.md",
        ".claude/settings.json",
        ".cursor/rules",
        ".mcp.json",
        "bridle.toml",
        ".gitattributes",
        ".gitmodules",
        "sitecustomize.py",
        "lib/usercustomize.py",
        "evil.pth",
        ".zlogout",
        ".cshrc",
        ".tcshrc",
        ".kshrc",
        ".login",
        ".gitpod.yml",
        "buildspec.yml",
        ".semaphore/semaphore.yml",
        ".teamcity/settings.kts",
        ".helix/languages.toml",
        ".vs/tasks.vs.json",
        ".settings/org.eclipse.cdt.prefs",
        ".project",
        ".lvimrc",
        "playwright.config.ts",
        "cypress.config.js",
        "karma.conf.js",
        "astro.config.mjs",
        "svelte.config.js",
        "nuxt.config.ts",
        "vue.config.js",
        "stylelint.config.js",
        "commitlint.config.cjs",
        "lint-staged.config.js",
        ".mocharc.js",
        ".pnp.cjs",
        ".bazelrc",
        "hatch_build.py",
        ".gdbinit",
        ".irbrc",
        ".Rprofile",
        ".overcommit.yml",
        ".simple-git-hooks.json",
        ".clinerules",
        ".clinerules/x.md",
        "opencode.json",
        "newtool.config.mts",
        ".newtoolrc",
        ".newtoolrc.cjs",
    ],
)
async def test_what_host_tools_trust(lab: Any, path: str) -> None:
    assert "trusted" in await flags(lab, path)


async def test_a_file_has_one_reason_to_be_trusted(lab: Any) -> None:
    changes = await lab.take_out_tree(lab.tree() | {b".bashrc": (0o100644, b"x\n")})
    assert [each.kind for each in flag(changes) if each.path == b".bashrc"] == ["trusted"]


@pytest.mark.parametrize(
    "path",
    [
        "src/app.py",
        "docs/page.md",
        "package.json.txt",
        "src/setup_tools.py",
        "lib/make.py",
        "src/config.ts",
        "src/workspace/main.py",
        "lib/arc",
        "src/config.js",
        "app/parc.js",
        "web/app.config.json",
    ],
)
async def test_plain_files_are_not_flagged(lab: Any, path: str) -> None:
    assert await flags(lab, path) == set()


@pytest.mark.parametrize("path", ["tests/test_x.py", "pkg/stats_test.go", "a/__tests__/b.js", "web/app.spec.ts"])
async def test_tests_are_a_kind_of_their_own(lab: Any, path: str) -> None:
    assert await flags(lab, path) == {"tests"}


async def test_executables(lab: Any) -> None:
    assert await flags(lab, "tool", b"echo\n", 0o100755) == {"executable"}
    assert await flags(lab, "script", b"#!/bin/sh\n") == {"executable"}
    assert await flags(lab, "a.out", b"\x7fELF\x02") == {"executable"}
    assert await flags(lab, "data.bin", b"x\0y") == {"executable"}
    assert await flags(lab, "README.md", b"# Example\n", 0o100755) == {"executable"}
    assert await flags(lab, "run.sh", b"#!/bin/sh\necho changed\n", 0o100755) == set()


async def test_deleted_files_are_looked_at_too(lab: Any) -> None:
    lab.write("tests/test_it.py", "assert True\n")
    lab.take_in()
    tree = lab.tree()
    del tree[b"tests/test_it.py"]
    assert [each.text() for each in flag(await lab.take_out_tree(tree))] == ["tests/test_it.py: deleted test"]


async def test_symlinks(lab: Any) -> None:
    assert await flags(lab, "out", b"/etc/passwd", 0o120000) == {"symlink"}
    assert await flags(lab, "a/b/in", b"../c", 0o120000) == set()


@pytest.mark.parametrize(
    ("path", "target", "danger"),
    [
        (b"a", b"b", ""),
        (b"a/b", b"../c", ""),
        (b"a", b"./b/c", ""),
        (b"a", b"../b", "out of"),
        (b"a/b", b"../../c", "out of"),
        (b"a", b"b/../../c", "out of"),
        (b"a/b/c", b"x/..", "out of"),
        (b"a", b"/tmp", "absolute"),
        (b"a", b".git/config", "into .git"),
        (b"a/b", b"../.GIT/hooks", "into .git"),
    ],
)
def test_where_links_lead(path: bytes, target: bytes, danger: str) -> None:
    said = link_danger(path, target)
    assert (danger in said) if danger else not said


def test_names_are_shown_harmlessly() -> None:
    assert shown(b"a\x1b[31m\n") == "a\\x1b[31m\\n"
    assert shown("\u202ex".encode()) == "\\u202ex"
    assert shown(b"\xff") == "\\xff"
    assert shown("naïve".encode()) == "naïve"


def test_quoting_is_reversible() -> None:
    every = bytes(range(1, 256)) + b"%41%"
    assert unquoted(quoted(every)) == every
    assert quoted(every).isascii()


def test_ordinary_names_are_not_gits() -> None:
    assert not any(
        map(is_git_own, [b".gitignore", b".github/x", b"git", b"x.git", b"git~", b".git-blame-ignore-revs"])
    )
