"""What shell_effects knows of commands: which are only reading, with which options; which words give effects away.

A row of READ_ONLY allows a command no more than it says: an option that is not listed (abbreviated ones, too)
makes the command an unknown one. ANY stands where no option in GNU coreutils, util-linux, procps or BusyBox
writes a file or starts a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """How a command may be used and still only read.

    `flags`: one-letter options without a value, `valued`: those with one; None allows any option at all. `words`:
    long options (a value may follow =) and options spelled with one dash, such as find's. `operand`: what every
    other word must match. `most`: how many other words there may be. `first`: what the
    first words must match, each in whole.
    """

    flags: str | None = None
    valued: str = ""
    words: frozenset[str] = field(default_factory=frozenset)
    operand: str = ""
    most: int | None = None
    first: tuple[str, ...] = ()


ANY = Row()


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _long(names: str) -> frozenset[str]:
    return frozenset(f"--{name}" for name in names.split())


def _single(names: str) -> frozenset[str]:
    return frozenset(f"-{name}" for name in names.split())


_GREP_LONG = _long(
    "include exclude exclude-dir exclude-from color colour line-number recursive ignore-case extended-regexp "
    "fixed-strings perl-regexp basic-regexp word-regexp line-regexp files-with-matches files-without-match count "
    "max-count only-matching no-filename with-filename context after-context before-context invert-match text "
    "regexp file no-messages quiet silent"
)
_RG_LONG = _long(
    "after-context before-context context color colors column count count-matches files files-with-matches "
    "files-without-match fixed-strings glob iglob heading no-heading hidden ignore-case smart-case case-sensitive "
    "invert-match json line-number no-line-number line-regexp max-columns max-count max-depth multiline no-ignore "
    "no-ignore-vcs no-config no-messages null only-matching pcre2 regexp file sort sortr stats text trim type "
    "type-not type-list with-filename no-filename word-regexp passthru"
)
_DIFF_LONG = _long(
    "unified context brief recursive new-file ignore-case ignore-all-space ignore-space-change ignore-blank-lines "
    "color side-by-side width text strip-trailing-cr exclude label suppress-common-lines"
)
_FIND_WORDS = _single(
    "name iname path ipath wholename iwholename regex iregex regextype type xtype maxdepth mindepth depth mount "
    "xdev size empty newer mtime mmin atime amin ctime cmin perm user group uid gid links inum readable writable "
    "executable not o or a and true false print print0 printf ls prune quit follow daystart H L P"
)
_TEST_WORDS = _single("e f d r w x s z n h L p S b c g u k nt ot ef")

_SED_LINES = r"(\d+|\$)(,(\d+|\$|\+\d+))?p"

READ_ONLY: dict[str, Row] = {
    # bash's `test -v`, `-R` and `printf -v` evaluate subscripts, which can hold commands.
    "[": Row("", words=_TEST_WORDS),
    "test": Row("", words=_TEST_WORDS),
    "printf": Row(""),
    "command": Row("vV", most=1, first=("-[vV]",)),
    "type": Row("", most=1),
    "which": Row("as"),
    ":": ANY,
    "true": ANY,
    "false": ANY,
    "cd": Row("PL", most=1),
    "pwd": ANY,
    "echo": ANY,
    "ls": ANY,
    "cat": ANY,
    "head": ANY,
    "tail": ANY,
    "wc": ANY,
    "nl": ANY,
    "tac": ANY,
    "rev": ANY,
    "cut": ANY,
    "tr": ANY,
    "paste": ANY,
    "fold": ANY,
    "comm": ANY,
    "cmp": ANY,
    "od": ANY,
    "hexdump": ANY,
    "seq": ANY,
    "stat": ANY,
    "du": ANY,
    "df": ANY,
    "basename": ANY,
    "dirname": ANY,
    "realpath": ANY,
    "readlink": ANY,
    "md5sum": ANY,
    "sha1sum": ANY,
    "sha256sum": ANY,
    "cksum": ANY,
    "id": ANY,
    "whoami": ANY,
    "uname": ANY,
    "nproc": ANY,
    "printenv": ANY,
    "free": ANY,
    "uptime": ANY,
    "ps": ANY,
    # -o writes, -T writes temporary files there, --compress-program runs; -z of some greps runs decompressors.
    "sort": Row("bdfgiMhnRrVcCsuz", "kt", _long("key field-separator numeric-sort reverse unique version-sort")),
    # The second operand is a file that is written.
    "uniq": Row("cdDiuz", "fsw", _long("count repeated unique ignore-case"), most=1),
    "grep": Row("abcEFGhHiIlLnoPqrRsTuUvVwxy", "ABCDdefm", _GREP_LONG),
    "egrep": Row("abchHiIlLnoqrRsvwx", "ABCefm", _GREP_LONG),
    "fgrep": Row("abchHiIlLnoqrRsvwx", "ABCefm", _GREP_LONG),
    "rg": Row("acFhHiIlLnNoPpqsSuUvwx0", "ABCefgMmTtdj", _RG_LONG),
    "diff": Row("abBcdeiNqrstTuwy", "CUWxIL", _DIFF_LONG),
    "file": Row("bhiLN", "", _long("brief mime mime-type mime-encoding dereference")),
    "tree": Row("adfhilnpsDF", "LIP", _long("dirsfirst gitignore noreport prune")),
    # Of its scripts (which can write and run) only those that print lines by number, right after -n.
    "sed": Row("n", first=("-n", rf"{_SED_LINES}(;{_SED_LINES})*")),
    "find": Row("", words=_FIND_WORDS),
    # An operand without a plus sets the clock.
    "date": Row("uRI", words=_long("utc iso-8601 rfc-3339"), operand=r"\+.*"),
    "hostname": Row("fis", most=0),
}
"""Commands that only read when used as their row says."""

DESTROY_WORDS = _words(
    "rm unlink shred truncate wipefs mkfs fdisk parted blkdiscard rmtree rimraf srm -delete --delete"
)
NETWORK_WORDS = _words(
    "curl wget aria2c ssh scp sftp rsync nc ncat netcat socat telnet ftp tftp ping dig nslookup traceroute "
    "pip pip3 pipx uv uvx poetry pdm conda mamba npm npx pnpm pnpx yarn bun bunx corepack cargo gem bundle "
    "apt apt-get aptitude apk dnf yum pacman zypper brew snap flatpak docker podman kubectl gh glab aws "
    "gcloud twine"
)
"""Commands that exist to reach other hosts. Some have uses that do not; claiming more is safe."""
OFFLINE_FORMS = frozenset(
    [("pip", verb) for verb in ("list", "show", "freeze", "check", "--version")]
    + [("pip3", verb) for verb in ("list", "show", "freeze", "check", "--version")]
    + [("npm", verb) for verb in ("test", "run", "--version")]
    + [("cargo", verb) for verb in ("fmt", "--version")]
    + [("uv", "--version"), ("yarn", "test"), ("pnpm", "test")]
)
"""A word of NETWORK_WORDS and the next one, where together they reach nobody by themselves."""
DELIVER_WORDS = _words("publish twine gh glab")

GIT_HISTORY = _words(
    "commit commit-tree rebase reset branch tag merge cherry-pick revert stash am checkout switch init notes "
    "replace filter-branch filter-repo update-ref symbolic-ref reflog worktree pull fast-import gc prune bisect"
)
GIT_NETWORK = _words("clone fetch pull push ls-remote submodule lfs remote send-email request-pull")
GIT_DESTROY = _words("clean restore checkout checkout-index prune gc filter-branch filter-repo reflog")
GIT_DESTROY_WITH = {
    "reset": frozenset({"--hard", "--merge", "--keep"}),
    "stash": frozenset({"drop", "clear", "pop"}),
    "branch": frozenset({"-D", "-d", "--delete", "-f", "--force", "-M"}),
    "tag": frozenset({"-d", "--delete", "-f", "--force"}),
    "switch": frozenset({"-f", "--force", "--discard-changes", "-C"}),
    "worktree": frozenset({"remove", "prune"}),
    "update-ref": frozenset({"-d", "--stdin"}),
    "push": frozenset({"-f", "--force", "--delete", "-d", "--mirror", "--force-with-lease"}),
    "read-tree": frozenset({"--reset", "-u"}),
}
