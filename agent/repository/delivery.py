"""Giving the work back: a commit on a new branch of the user's repository, and nothing else of it changed.

Plumbing only: a temporary index, objects written as plain bytes, commit-tree, update-ref with "must not exist".
The checkout, the index, HEAD, the stash and the configuration stay as they are.

Threat model: contents and paths are the agent's, and the repository's configuration may name commands. No hook,
filter, attribute or fsmonitor runs; paths reach git NUL-terminated on standard input.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.outcomes import UsageProblem
from agent.repository.archive import read_archive
from agent.repository.base import EXECUTABLE, REGULAR, Base, Changes
from agent.repository.flags import Flag
from agent.repository.names import shown
from agent.repository.patch import index_info
from agent.repository.plumbing import GitFailed, disarmed, run_git
from agent.repository.source import Repository
from agent.repository.stream import PatchProblem
from agent.repository.tracked import conversions, list_tree
from agent.scratch import scratch_folder

SESSION_TRAILER = "Bridle-Session"
FOUND_MESSAGE = "Uncommitted changes as Bridle found them\n"
_FALLBACK = ("Bridle", "bridle@localhost")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the work is: the branch's short name and its tip. `found` is the commit below it that holds the
    user's uncommitted changes, when there were any.
    """

    branch: str
    commit: str
    found: str | None = None


def deliver(
    repo: Repository, base: Base, changes: Changes, *, base_archive: Path, slug: str, message: str
) -> Delivery:
    """Commit `changes` on a new branch `bridle/<slug>` (`-2`, `-3`, … when taken), based on the HEAD taken in.

    The tip's tree is the tree taken in with the changes made; if that tree was dirty, a commit of the user's
    uncommitted changes lies between HEAD and the tip. Blocking. Raises UsageProblem when the repository cannot
    be written, PatchProblem when there is nothing to deliver or git refuses a path.
    """
    if not changes:
        raise PatchProblem("there is nothing to deliver: no file differs from what was taken in")
    try:
        with scratch_folder() as folder:
            writer = _Writer(repo, folder)
            writer.start_from(base.head)
            found = _found_commit(writer, base, base_archive, folder)
            writer.put(_agent_entries(writer, changes))
            commit = writer.commit(found or base.head, message)
            branch = writer.branch(slugify(slug), commit)
    except GitFailed as error:
        raise UsageProblem(f"the branch could not be made in {repo.root}: {error}") from error
    return Delivery(branch, commit, found)


def delivered_before(repo: Repository, session: str) -> Delivery | None:
    """What a session has delivered already, if it was killed before it could journal that. Blocking."""
    trailer = f"%(contents:trailers:key={SESSION_TRAILER},valueonly=true,separator=)"
    shape = f"--format=%(objectname) %(refname:lstrip=2) {trailer}"
    for line in (
        run_git("for-each-ref", shape, "refs/heads/", cwd=repo.root).decode("utf-8", "replace").splitlines()
    ):
        commit, branch, *named = line.split(" ", 2)
        if branch.startswith("bridle") and named == [session]:
            return Delivery(branch, commit)
    return None


class _Writer:
    """Writes objects and commits through a temporary index."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self._repo = repo
        name, email = _identity(repo)
        self._env = disarmed(repo.root) | {
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }

    def git(self, *args: str, stdin: bytes = b"") -> str:
        """Run git in the repository and return what it says, without the line end."""
        said = run_git(*args, cwd=self._repo.root, stdin=stdin, env=self._env)
        return said.decode("ascii").strip()

    def start_from(self, commit: str) -> None:
        """Fill the temporary index with the tree of `commit`."""
        self.git("read-tree", commit)

    def objects(self, folder: Path, hashes: Iterable[str]) -> dict[str, str]:
        """Write the files of `folder` named by `hashes` as blobs; their object names by hash."""
        wanted = sorted(set(hashes))
        paths = "".join(f"{folder.absolute() / each}\n" for each in wanted).encode()
        oids = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=paths).split()
        return dict(zip(wanted, oids, strict=True))

    def put(self, entries: Mapping[bytes, tuple[int, str] | None]) -> None:
        """Set (mode, object) or remove (None) paths in the temporary index."""
        gone = {path: (0, self._repo.zero) for path, entry in entries.items() if entry is None}
        there = {path: entry for path, entry in entries.items() if entry is not None}
        try:
            self.git("update-index", "-z", "--index-info", stdin=index_info(gone) + index_info(there))
        except GitFailed as error:
            raise PatchProblem(f"git refuses a path of the patch: {error.text}") from error

    def commit(self, parent: str, message: str) -> str:
        """Commit the temporary index on top of `parent`."""
        text = message.replace("\0", "").encode("utf-8", "replace")
        return self.git("commit-tree", self.git("write-tree"), "-p", parent, "-F", "-", stdin=text)

    def branch(self, slug: str, commit: str) -> str:
        """Point a branch that does not exist yet at `commit`; its short name."""
        folder = "bridle-" if self._exists("refs/heads/bridle") else "bridle/"
        for number in range(1, 1000):
            name = folder + (slug if number == 1 else f"{slug}-{number}")
            if self._exists(f"refs/heads/{name}"):
                continue
            reason = ("--create-reflog", "-m", "bridle: delivered")
            try:
                self.git("update-ref", *reason, f"refs/heads/{name}", commit, self._repo.zero)
            except GitFailed:
                if self._exists(f"refs/heads/{name}"):  # somebody else took it meanwhile
                    continue
                raise
            return name
        raise UsageProblem(f"every branch name from {folder}{slug} to {folder}{slug}-999 is taken: delete some")

    def _exists(self, ref: str) -> bool:
        try:
            self.git("show-ref", "--verify", "--quiet", ref)
        except GitFailed:
            return False
        return True


def _identity(repo: Repository) -> tuple[str, str]:
    """The user's name and address for commits, as configured; Bridle's when none is."""
    try:
        line = run_git("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT", cwd=repo.root)
    except GitFailed:
        return _FALLBACK
    found = re.match(r"(.*) <(.*)> \d+ ", line.decode("utf-8", "replace"))
    return (found[1], found[2]) if found else _FALLBACK


def _found_commit(writer: _Writer, base: Base, archive: Path, folder: Path) -> str | None:
    """Commit the user's uncommitted changes as they were taken in; None when there were none."""
    head, kept = list_tree(writer._repo, base.head), set(base.kept)
    entries: dict[bytes, tuple[int, str] | None] = {
        path: None for path in head if path not in base.files and path not in kept
    }
    for path, entry in base.files.items():
        then = head.get(path)
        if then is None or (then.mode, then.oid) != (entry.mode, entry.blob):
            entries[path] = (entry.mode, entry.blob)
    if not entries:
        return None
    missing = {path: base.files[path] for path, new in entries.items() if new and not base.files[path].stored}
    for path, content in read_archive(archive):
        if path in missing:
            with (folder / missing[path].sha256).open("wb") as file:
                while chunk := content.read(_CHUNK):
                    file.write(chunk)
    oids = writer.objects(folder, (entry.sha256 for entry in missing.values()))
    if any(oids[entry.sha256] != entry.blob for entry in missing.values()):
        raise PatchProblem(f"{archive} no longer holds the files that were taken in")
    writer.put(entries)
    return writer.commit(base.head, FOUND_MESSAGE)


def _agent_entries(writer: _Writer, changes: Changes) -> dict[bytes, tuple[int, str] | None]:
    """The agent's changes for the index. A content the base has keeps the object the base has it in."""
    known = {change.path: change.old.blob for change in changes.changes if change.kind == "mode" and change.old}
    needed = [each.new.sha256 for each in changes.changes if each.new and each.path not in known]
    oids = writer.objects(changes.spool, needed)
    return {
        each.path: (each.new.mode, known.get(each.path) or oids[each.new.sha256]) if each.new else None
        for each in changes.changes
    }


def stored_raw(repo: Repository, changes: Changes) -> list[str]:
    """What the user should know of files that their git would convert on commit, and Bridle stores as they are."""
    written = {
        each.path: each.new for each in changes.changes if each.new and each.new.mode in {REGULAR, EXECUTABLE}
    }
    notes = []
    for path, kind in conversions(repo, sorted(written)).items():
        if kind.startswith("filter ") or kind in {"ident", "working-tree-encoding"}:
            notes.append(f"{shown(path)} is subject to `{kind}`, which Bridle does not run: stored as plain bytes")
        elif b"\r\n" in changes.content(written[path]).read_bytes():
            notes.append(f"{shown(path)} has CRLF line ends, which your git would convert: stored as they are")
    return notes


def slugify(text: str) -> str:
    """A short name fit for a branch, of at most 50 characters: `fix-mean-of-one-element`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = ""
    for word in words:
        if len(slug) + len(word) + 1 > 50:
            break
        slug = f"{slug}-{word}" if slug else word
    return slug or (words[0][:50] if words else "change")


def commit_message(
    issue: str,
    *,
    version: str,
    verified: str | None = None,
    flags: Sequence[Flag] = (),
    session: str = "",
) -> str:
    """The message of the delivered commit: what was asked, what verified it, what deserves a look.

    `verified` is the command that passed on exactly this tree, or None when nothing was run. Only the last
    paragraph holds trailers, and it is ours; `session` is the id by which `delivered_before` finds the commit.
    """
    first = next((line for line in issue.splitlines() if line.strip()), "Change made by Bridle")
    subject = _line(first)
    if len(subject) > 72:
        subject = subject[:71].rstrip() + "…"
    parts = [subject, f"Verified by: {_line(verified)}" if verified else "Not verified: no check was run."]
    if flags:
        parts.append("\n".join(["Worth a second look:", *(f"- {each.text()}" for each in flags[:50])]))
    trailers = [f"{SESSION_TRAILER}: {session}"] if session else []
    parts.append("\n".join([*trailers, f"Assisted-by: Bridle {_line(version)}"]))
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    """`text` on one line, without anything that steers a terminal."""
    return shown(" ".join(text.split()).encode("utf-8", "replace"))
