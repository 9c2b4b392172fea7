"""Attempts to have git on the host run a program, or read what is not the repository's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from agent.outcomes import UsageProblem
from agent.repository.intake import take_in
from agent.repository.patch import write_patch
from agent.repository.source import open_repository
from agent.workspace import set_up_git
from sandboxes.protocol import WorkspaceArchive
from support.escape.scene import Attempt, Scene
from support.lab import Lab

HOOKS = (
    "reference-transaction",
    "post-index-change",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-checkout",
    "post-merge",
    "pre-auto-gc",
    "post-rewrite",
    "pre-push",
    "update",
    "fsmonitor-watchman",
)
COMMANDS = (
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.sshCommand",
    "core.gitProxy",
    "core.askPass",
    "core.alternateRefsCommand",
    "credential.helper",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "merge.evil.driver",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "hook.evil.command",
    "gpg.program",
    "sequence.editor",
    "uploadpack.packObjectsHook",
    "pager.ls-files",
    "pager.diff",
)


class Trap:
    """Programs that, when run, leave a file on the host."""

    def __init__(self, folder: Path) -> None:
        self.sprung = folder / "sprung"
        self.sprung.mkdir()
        self.sprung.chmod(0o777)
        self.script = folder / "trap"
        self.script.write_text(f'#!/bin/sh\ntouch "{self.sprung}/$(basename "$0").$$"\ncat\n')
        self.script.chmod(0o755)

    def config(self) -> str:
        """A configuration that names it wherever a command can be named."""
        lines = []
        for key in COMMANDS:
            section, _, name = key.rpartition(".")
            first, _, second = section.partition(".")
            head = f'[{first} "{second}"]' if second else f"[{first}]"
            lines.append(f"{head}\n\t{name} = {self.script}")
        lines += [f'[hook "evil"]\n\tevent = reference-transaction\n[alias]\n\trev-parse = "!{self.script}"']
        return "\n".join([*lines, '[filter "evil"]\n\trequired = true\n[commit]\n\tgpgSign = true\n'])

    def hooks(self, folder: Path) -> None:
        """All hooks in a folder of the host."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in HOOKS:
            (folder / name).write_text(self.script.read_text())
            (folder / name).chmod(0o755)

    def check(self) -> None:
        """Nothing has run."""
        assert [each.name for each in self.sprung.iterdir()] == []

    def proves_itself(self, lab: Lab) -> None:
        """An ordinary git, outside Bridle, falls into it."""
        subprocess.run(["git", "add", "-A"], cwd=lab.root, capture_output=True, timeout=60, check=False)
        assert [*self.sprung.iterdir()] != []
        for each in self.sprung.iterdir():
            each.unlink()


def arm(lab: Lab, trap: Trap) -> None:
    """Set every trap in the user's repository, as an unpacked archive of one could bring it."""
    lab.write(".gitattributes", "* filter=evil diff=evil merge=evil text=auto\n")
    lab.commit("With attributes")
    with (lab.root / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\thooksPath = {lab.root}/.git/hooks\n{trap.config()}")
    trap.hooks(lab.root / ".git" / "hooks")
    os.utime(lab.root / "README.md")


async def hostile_repository(scene: Scene) -> None:
    lab, trap = Lab.begun(scene.folder), Trap(scene.folder)
    arm(lab, trap)
    trap.proves_itself(lab)
    before = lab.snapshot()
    lab.take_in()
    box = await scene.open(workspace=WorkspaceArchive(lab.archive))
    assert await set_up_git(box, lab.base, None) is None
    assert await scene.sh("echo fixed > src/stats.py; git add -A; git commit -qm x; git status --short", box) == ""
    changes = await lab.take_out_stream(box.download("/workspace"))
    write_patch(changes, scene.folder / "patch.diff")
    done = lab.deliver(changes)
    trap.check()
    assert lab.snapshot() == before
    assert b"+fixed" in (scene.folder / "patch.diff").read_bytes()
    assert (lab.root / ".git" / "refs" / "heads" / done.branch).exists()


PLANT = """
cd /workspace; trap='{script}'
for h in {hooks}; do
	printf '#!/bin/sh\\ntouch {sprung}/agent-%s\\n' $h > .git/hooks/$h; chmod +x .git/hooks/$h
done
cat >> .git/config <<'EOF_CONFIG'
{config}
[core]
	hooksPath = {repo}/tools
[include]
	path = {repo}/.git/config
EOF_CONFIG
echo '* filter=evil diff=evil merge=evil' > .gitattributes; cp .gitattributes .git/info/attributes
printf '[submodule "s"]\\n\\tpath = s\\n\\turl = ext::sh -c "touch {sprung}/ext"\\n' > .gitmodules
printf '\\tupdate = !touch {sprung}/update\\n' >> .gitmodules
mkdir -p s nested bare.git/objects bare.git/refs tools worktrees
echo 'gitdir: {repo}/.git' > s/.git; echo 'gitdir: ../bare.git' > nested/.git; echo x > nested/x; echo y > s/y
echo 'ref: refs/heads/main' > bare.git/HEAD
printf '[core]\\n\\tbare = false\\n\\tworktree = ..\\n\\tfsmonitor = %s\\n' "$trap" > bare.git/config
cp .git/hooks/pre-commit tools/; mkdir -p .git/objects/info
 echo '{repo}/.git/objects' > .git/objects/info/alternates
ln -s {repo}/.git linked; ln -s .git/config config-link; ln -s {repo}/.git/hooks tools/hooks
mkdir -p .GIT GIT~1 '.git '; echo x > .GIT/config; echo x > GIT~1/config; echo x > '.git /config'
echo fixed > src/stats.py
"""


def names(paths: Iterable[bytes]) -> set[bytes]:
    """What files and folders are called, in small letters."""
    return {part for path in paths for part in path.lower().split(b"/")}


async def planted(scene: Scene) -> None:
    """The agent plants everything in its copy; what comes back holds nothing that a git would obey."""
    lab, trap = Lab.begun(scene.folder), Trap(scene.folder)
    before, config = lab.snapshot(), (lab.root / ".git" / "config").read_text()
    for replaced in (False, True):
        box = await scene.open(workspace=WorkspaceArchive(lab.archive))
        assert await set_up_git(box, lab.base, None) is None
        words = {"script": trap.script, "hooks": " ".join(HOOKS), "sprung": trap.sprung, "repo": lab.root}
        said = await scene.sh(PLANT.format(config=trap.config(), **words), box)
        assert said == ""
        if replaced:
            await scene.sh(f"rm -rf .git; echo 'gitdir: {lab.root}/.git' > .git", box)
        changes = await lab.take_out_stream(box.download("/workspace"))
        assert not {b".git", b"git~1", b".git "} & names(each.path for each in changes.changes)
        write_patch(changes, scene.folder / "patch.diff")
        done = lab.deliver(changes)
        tree = lab.tree_of(done.commit)
        assert tree[b"src/stats.py"] == (0o100644, b"fixed\n")
        assert not {b".git", b"git~1", b".git "} & names(tree)
        assert {mode for mode, _ in tree.values()} <= {0o100644, 0o100755, 0o120000}  # no submodule appears
        assert b"y" not in {content for _, content in tree.values()}
        trap.check()
    assert lab.snapshot() == before
    assert (lab.root / ".git" / "config").read_text() == config
    # What was delivered is harmless to an ordinary git as well, when the user looks at it and takes it.
    for words in (["log", "-p", "--all"], ["diff", f"...{done.branch}"], ["merge", "-q", done.branch], ["status"]):
        lab.git(*words)
    trap.check()


def elsewhere(lab: Lab, trap: Trap, secret: Path) -> dict[str, Path]:
    """Repositories that are not where they seem to be, by name, and the folder to give to Bridle."""
    made: dict[str, Path] = {}

    def copy(name: str) -> Path:
        folder = lab.root.parent / name
        lab.git("clone", "-q", "--no-hardlinks", str(lab.root), str(folder))
        made[name] = folder
        return folder

    def settings(folder: Path, text: str) -> None:
        with (folder / "config").open("a") as file:
            file.write(text)

    moved = copy("file-for-a-folder")
    (moved / ".git").rename(moved / "hidden")
    (moved / ".git").write_text("gitdir: hidden\n")
    settings(moved / "hidden", trap.config())
    trap.hooks(moved / "hidden" / "hooks")
    settings(copy("worktree-elsewhere") / ".git", f"[core]\n\tworktree = {secret}\n")
    settings(copy("worktree-above") / ".git", "[core]\n\tworktree = ../..\n")
    included = copy("included")
    (included / "more.cfg").write_text(trap.config())
    settings(included / ".git", "[include]\n\tpath = ../more.cfg\n")
    bare = copy("embedded") / "vendor"
    lab.git("clone", "-q", "--bare", str(lab.root), str(bare))
    settings(bare, f"[core]\n\tbare = false\n\tworktree = ..\n{trap.config()}")
    trap.hooks(bare / "hooks")
    made["embedded"] = bare
    borrowed = copy("alternates") / ".git" / "objects" / "info"
    (borrowed / "alternates").write_text(f"{secret}\n{lab.root}/.git/objects\n/dev/fd/0\n")
    linked = copy("links-in-git") / ".git"
    for name in ("index", "description", "packed-refs"):
        (linked / name).unlink(missing_ok=True)
        (linked / name).symlink_to(secret / "key")
    (linked / "info" / "exclude").unlink(missing_ok=True)
    (linked / "info" / "exclude").symlink_to(secret / "key")
    head = copy("head-elsewhere") / ".git" / "HEAD"
    head.write_text(f"ref: refs/heads/../../../../{secret.name}/key\n")
    tree = copy("links-in-tree")
    (tree / "src" / "stats.py").unlink()
    (tree / "src").rmdir()
    (tree / "src").symlink_to(secret)
    (tree / "file").symlink_to(secret / "key")
    return made


async def other_places(scene: Scene) -> None:
    lab, trap = Lab.begun(scene.folder), Trap(scene.folder)
    secret = scene.folder / "private"
    secret.mkdir()
    for name in ("key", "stats.py"):
        (secret / name).write_text(scene.secret)
    taken = 0
    for name, folder in elsewhere(lab, trap, secret).items():
        archive = scene.folder / f"{name}.tar"
        with suppress(UsageProblem):
            take_in(open_repository(folder), archive, uid=1000, gid=1000)
            taken += 1
            assert scene.secret.encode() not in archive.read_bytes(), name
        trap.check()
    assert taken >= 4, "hardly any was taken in, so hardly anything was proved"


ROWS = (
    Attempt(
        "git-planted",
        "traps in the agent's copy",
        "Hooks, `core.fsmonitor`, filters, attributes, submodules, nested and bare repositories, `.git` files, "
        "alternates, links; then the user's own git looks and merges",
        "The copy's `.git` never comes back, and no git runs on the copy (`agent/repository/taking.py`, "
        "`delivery.py`)",
        planted,
        seconds=120,
    ),
    Attempt(
        "git-hostile",
        "traps in the user's repository",
        "Thirteen hooks and twenty-one settings that name programs, in the repository that is taken in and "
        "delivered to",
        "The one way to start git switches every one off (`agent/repository/plumbing.py`)",
        hostile_repository,
        seconds=120,
    ),
    Attempt(
        "git-elsewhere",
        "repositories that point elsewhere",
        "`.git` as a file, `core.worktree`, `include.path`, embedded bare repositories, alternates, links in "
        "`.git` and in the tree",
        "A working tree has to be where its `.git` lies, and links are copied, not followed "
        "(`agent/repository/source.py`, `intake.py`)",
        other_places,
        on=("host",),
        seconds=120,
    ),
)
