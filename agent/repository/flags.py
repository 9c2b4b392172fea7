"""Changed files that deserve a second look: what tools on the user's machine would later trust or execute.

Threat model: the agent would like such a change to pass unseen, so names are compared the way the most forgiving
file system would read them. The table is data: patterns as in .gitignore, against lower-case paths.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from pathspec import GitIgnoreSpec

from agent.repository.base import EXECUTABLE, SYMLINK, Change, Changes
from agent.repository.names import folded, link_danger, shown

FlagKind = Literal["trusted", "executable", "symlink", "tests"]

TABLE: tuple[tuple[FlagKind, str, str], ...] = (
    (
        "trusted",
        "git hook",
        """
        .githooks/ .husky/ .hooks/ hooks/ .pre-commit-config.yaml .pre-commit-hooks.yaml lefthook.* .lefthook.*
        .overcommit.y* .simple-git-hooks.* simple-git-hooks.* .lintstagedrc* lint-staged.config.* .huskyrc*
        .commitlintrc* commitlint.config.* .git-hooks/ .captainhook.json captainhook.json grumphp.y*
        """,
    ),
    (
        "trusted",
        "git configuration",
        """
        .gitattributes .gitmodules .gitconfig .gitignore .mailmap .lfsconfig .git-blame-ignore-revs .gitmessage
        .hg/ .hgrc .jj/
        """,
    ),
    (
        "trusted",
        "CI configuration",
        """
        .github/workflows/ .github/actions/ .github/dependabot.y* action.y*ml .gitlab-ci.y* .gitlab/
        jenkinsfile* .circleci/ azure-pipelines*.y* .azure-pipelines/ .travis.y* .drone.y* .buildkite/
        appveyor.y* .ci/ bitbucket-pipelines.y* .woodpecker* .forgejo/ .gitea/ .cirrus.y* cloudbuild*.y*
        .builds/ .build.yml buildspec*.y* .semaphore/ .teamcity/ .tekton/ wercker.yml codemagic.y*
        bitrise.y* codeship-*.y* .pipelines/ .vsts-ci.y* .ado/ .scrutinizer.yml .readthedocs.y* netlify.toml
        vercel.json render.yaml fly.toml amplify.yml renovate.json* .renovaterc* .github/renovate.json*
        .releaserc* release.config.* .goreleaser.y*
        """,
    ),
    (
        "trusted",
        "owners of the code",
        """
        codeowners
        """,
    ),
    (
        "trusted",
        "editor configuration",
        """
        .vscode/ .idea/ .devcontainer/ .devcontainer.json *.code-workspace .vim/ .nvim/ .vimrc .exrc
        .nvimrc .nvim.lua .dir-locals.el .zed/ .fleet/ *.sublime-project *.sublime-workspace .editorconfig
        .gitpod.y* .gitpod.dockerfile devfile.y* .devfile.y* .helix/ .vs/ .settings/ .project .classpath
        .lvimrc .local.vimrc .nova/ .theia/ .kakrc .emacs .emacs.d/ .projectile .nbproject/ nbproject/ *.iml
        *.ipr *.iws .run/ .kate-project .eclipse/ .atom/ .lite_project.lua
        """,
    ),
    (
        "trusted",
        "agent configuration",
        """
        claude.md agents.md gemini.md .claude/ .cursor/ .cursorrules .codex/ .gemini/ .aider* .mcp.json
        .windsurfrules .windsurf/ .continue/ .github/copilot-instructions.md .github/instructions/
        .github/prompts/ .github/agents/ .github/chatmodes/ .clinerules* .roo/ .roorules* .roomodes .kiro/
        .junie/ opencode.json* .opencode/ .agents/ .agent/ agent.md .amp/ .goosehints crush.json .crush/
        .augment/ .augment-guidelines .trae/ .kilocode/ .kilocodemodes .qwen/ qwen.md .openhands/ .rules
        mcp.json .factory/ warp.md skill.md
        bridle.toml
        """,
    ),
    (
        "trusted",
        "Python package or tool configuration",
        """
        setup.py setup.cfg pyproject.toml tox.ini noxfile.py conftest.py pytest.ini .pytest.ini
        requirements*.txt pip.conf .pypirc pipfile* uv.toml uv.lock poetry.lock .coveragerc mypy.ini
        tasks.py dodo.py fabfile.py .pylintrc .flake8 hatch_build.py hatch.toml pdm.toml pdm.lock pixi.toml
        pixi.lock
        environment.y*ml constraints*.txt setuptools_build.py sconstruct sconscript wscript .pdbrc
        .ipython/ pyrightconfig.json
        """,
    ),
    (
        "trusted",
        "code Python runs at start-up",
        """
        sitecustomize.py usercustomize.py *.pth
        """,
    ),
    (
        "trusted",
        "package-manager or build configuration",
        """
        package.json package-lock.json npm-shrinkwrap.json pnpm-*.yaml .pnpmfile.cjs yarn.lock .npmrc
        .yarnrc .yarnrc.yml .yarn/ bunfig.toml bun.lock* deno.json* makefile gnumakefile *.mk justfile
        .justfile taskfile.y* cmakelists.txt *.cmake meson.build configure configure.ac build.rs
        cargo.toml cargo.lock .cargo/ rust-toolchain* go.mod go.sum build.gradle* settings.gradle*
        gradle.properties gradle/ gradlew* pom.xml .mvn/ mvnw* build.xml gemfile* *.gemspec rakefile
        .bundle/ composer.json composer.lock *.csproj *.vbproj *.fsproj *.props *.targets nuget.config
        global.json mix.exs build.sbt project/*.sbt build.zig package.swift podfile* dangerfile*
        gruntfile.* gulpfile.* webpack.config.* vite.config.* babel.config.* .babelrc* .eslintrc*
        eslint.config.* .prettierrc* prettier.config.* jest.config.* vitest.config.* rollup.config.*
        next.config.* postcss.config.* tailwind.config.* conanfile.py *.config.js *.config.?js *.config.ts
        *.config.?ts *.conf.js *.conf.ts .*rc .*rc.js .*rc.?js .*rc.ts .*rc.json .*rc.y*ml .*rc.toml
        .pnp.* nx.json turbo.json lerna.json rush.json angular.json nodemon.json tsconfig*.json node_modules/
        *.bzl *.bazel .bazelignore .rspec .rubocop.y* .irbrc .pryrc .rprofile .renviron .gdbinit
        .lldbinit .ghci .ocamlinit .sbtopts .jvmopts .scalafix.conf project/*.properties phpunit.xml*
        .php-cs-fixer* phpstan.neon* earthfile tiltfile skaffold.y* thorfile guardfile capfile brewfile
        fastlane/ jakefile cakefile dune-project dune local.properties .config/ .terraform/ *.nix
        """,
    ),
    (
        "trusted",
        "environment or container configuration",
        """
        .envrc .env .env.* mise.toml .mise.toml .mise/ .tool-versions .python-version .node-version .nvmrc
        .ruby-version .sdkmanrc flake.nix shell.nix default.nix devenv.nix dockerfile* *.dockerfile
        containerfile* docker-compose*.y* compose*.y* vagrantfile procfile .bashrc .bash_profile .bash_login
        .bash_logout .bash_aliases .bash_completion .profile .zshrc .zshenv .zprofile .zlogin .zlogout .cshrc
        .tcshrc .kshrc .mkshrc .login .logout .xprofile .xinitrc .xsession .inputrc .config/fish/
        .config/nushell/ .ssh/ .screenrc .tmux.conf .curlrc .wgetrc .netrc .direnv/ .autoenv*
        .env.vault .venv/ venv/ """,
    ),
    (
        "tests",
        "test",
        """
        test_*.py *_test.py *_tests.py test/ tests/ testing/ __tests__/ spec/ specs/ *_spec.rb *_test.go
        *.test.* *.spec.* *test.java *tests.java *test.kt *tests.cs *test.php __snapshots__/
        """,
    ),
)

WHEN: dict[str, str] = {
    "git hook": "runs on your machine when you commit, merge or push",
    "git configuration": "is what git on your machine goes by when it reads the files",
    "CI configuration": "runs on your CI's machines, with what they may do, when it is pushed",
    "owners of the code": "says who has to approve changes",
    "editor configuration": "runs on your machine when you open the folder in an editor",
    "agent configuration": "is followed by agents on your machine when they start here",
    "Python package or tool configuration": "runs on your machine when you install, build or test",
    "code Python runs at start-up": "runs on your machine whenever Python starts where it is found",
    "package-manager or build configuration": "runs on your machine when you install or build",
    "environment or container configuration": "runs on your machine when you enter the folder or build from it",
}
"""When a tool on the user's machine goes by such a file."""

_MAGIC = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_HEAD = 8000


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason to look twice at a changed path.

    `tests` is not a danger to the user's machine but a question of honesty.
    """

    path: bytes
    kind: FlagKind
    reason: str
    when: str = ""

    def text(self) -> str:
        """The flag as one line for a person."""
        return f"{shown(self.path)}: {self.reason}{self.when and f', {self.when}'}"

    @property
    def guarded(self) -> str:
        """Why a delivery of it is never silent, in a clause; "" where it may be."""
        if self.kind == "trusted":
            return f"{shown(self.path)} {self.when}"
        return f"{shown(self.path)} is a link that leads {self.reason}" if self.kind == "symlink" else ""


def flag(changes: Changes) -> list[Flag]:
    """Every reason to look twice, in the order of the paths."""
    return [flag for change in changes.changes for flag in _flags(changes, change)]


def _flags(changes: Changes, change: Change) -> list[Flag]:
    verb = {"added": "new", "deleted": "deleted"}.get(change.kind, "changed")
    path = change.path
    name = folded(path).replace("\n", "_")  # no pattern's wildcard crosses a line end
    kinds: dict[FlagKind, Flag] = {}
    for kind, reason, spec in _specs():  # one reason of a kind is enough: the first
        if kind not in kinds and spec.match_file(name):
            kinds[kind] = Flag(path, kind, f"{verb} {reason}", WHEN.get(reason, ""))
    flags = list(kinds.values())
    new = change.new
    if new is None:
        return flags
    with changes.content(new).open("rb") as file:
        head = file.read(_HEAD)
    if new.mode == SYMLINK:
        if danger := link_danger(path, head):
            flags.append(Flag(path, "symlink", danger))
        return flags
    if new.mode == EXECUTABLE and (change.old is None or change.old.mode != EXECUTABLE):
        flags.append(Flag(path, "executable", "newly executable"))
    if head.startswith(_MAGIC):
        flags.append(Flag(path, "executable", f"{verb} executable binary"))
    elif b"\0" in head:
        flags.append(Flag(path, "executable", f"{verb} binary file"))
    elif change.kind == "added" and head.startswith(b"#!") and new.mode != EXECUTABLE:
        flags.append(Flag(path, "executable", "new script"))
    return flags


@functools.cache
def _specs() -> tuple[tuple[FlagKind, str, GitIgnoreSpec], ...]:
    return tuple((kind, reason, GitIgnoreSpec.from_lines(patterns.split())) for kind, reason, patterns in TABLE)
