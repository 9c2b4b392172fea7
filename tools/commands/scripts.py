"""Programs given as text to another language: Python, Perl and the like, and build rules.

Threat model: code in a whole language runs, whatever it says; what it gives away of worse (deleting, the network,
places outside) is claimed on top, and what it hides is part of `run`.
"""

from __future__ import annotations

import re

from tools.commands import places
from tools.commands.call import Call, command_of
from tools.commands.shells import is_input
from tools.commands.table import Row, table
from tools.commands.text import ANY, Text, lit
from tools.protocol import Effect

# Code in a whole language.

_MODULES = {
    "build": "pyproject-build",
    "pip": "pip",
    "twine": "twine",
    "uv": "uv",
    "pipx": "pipx",
    "poetry": "poetry",
}
_CODE_OPTION = re.compile(r"-[A-Za-z0]*[ceErR]|--eval|--print|-pe|-ne|--execute|-[0-9a-zA-Z]*[pn]e")
_DESTROYS = re.compile(
    r"\b(rmtree|unlink(Sync)?|rmdir(Sync)?|removedirs|os\.remove|rm(Sync)?\(|rm_rf|rm_r\b|FileUtils\.rm\w*|File\.delete"
    r"|remove_dir|\.truncate\(|truncate\s|remove\(\s*['\"]|remove_tree|rimraf|send2trash|emptyDir|Remove-Item|del_tree|deleteDir\b|deleteRecursively|delete-(?:file|directory)|\bfile\s+delete\b)"
)
_NAMED = re.compile(r"[\w.]+\(?\s*['\"]([\w./-]+)['\"]\s*[,);\n]")
"""What is deleted stands behind it."""
_MOVES = re.compile(r"chdir|\bcd\b|cwd")
_CONNECTS = re.compile(
    r"\b(urlopen|urlretrieve|build_opener|HTTPS?Connection|requests\.[a-z]+\(|requests\.Session|httpx\.\w+\(|socket\.\w+\("
    r"|IO::Socket|LWP|HTTP::|Net::|net/http|open-uri|TCPSocket|fsockopen|curl_init|fetch\(|XMLHttpRequest"
    r"|require\(['\"](node:)?(https?|net|dgram|tls|dns|axios|got|request)['\"]|from\s+['\"](node:)?(https?|net|tls|axios)['\"])"
)
_NET = re.compile(
    r"\b(requests|httpx|aiohttp|socket|ftplib|smtplib|telnetlib|paramiko|urllib|http|xmlrpc|ssl|asyncio)\b"
)
_ASKS = re.compile(
    r"(?<!environ)\.(get|post|put|delete|head|patch|request|stream|Session|Client|AsyncClient|create_connection|connect|SMTP"
    r"|FTP|SSHClient|ClientSession|getaddrinfo|gethostby\w+|open_connection|ServerProxy)\("
)
_URL = re.compile(r"https?://(?!localhost|127\.|0\.0\.0\.0)[\w.-]+")
_ROOTS = r"(?:etc|usr|home|root|var|opt|bin|sbin|lib|lib64|boot|dev|sys|proc|mnt|srv|media|run)"
_PLACES = re.compile(rf"['\"`]((?:/{_ROOTS}(?:/[^'\"`\n]*)?|/|~(?:/[^'\"`\n]*)?|(?:\.\./)+[^'\"`\n]*))['\"`]")
_HOME = re.compile(r"expanduser|Path\.home\(|homedir\(|\bHOME\b|Dir\.home")
_PRINTS_HOME = re.compile(
    r"\bprint\(\s*(?:os\.path\.expanduser\((['\"])[^'\"]*\1\)|(?:pathlib\.)?Path\.home\(\)|os\.homedir\(\))\s*\)"
)
"""Where the home is named only to be shown."""
_STARTS = re.compile(r"system|subprocess|popen|exec|spawn|qx|%x|`|Open3|run\(|call\(|check_|shell", re.IGNORECASE)
_TEXTS = re.compile(
    r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`([^`\n]*)`|qx[({/](.*?)[)}/]|%x[({\[](.*?)[)}\]]"
)
_LISTS = re.compile(r"['\"]([\w./-]+)['\"]((?:\s*,\s*['\"][^'\"\n]*['\"])+)")


_PYTHON = re.compile(r"-[bBdEhiIOPqsSuvVx]*([cm])(.*)", re.DOTALL)


def code(call: Call, row: Row) -> None:
    """An interpreter: code among its options, a module, a script, or its input."""
    from tools.commands.judge import argument

    call.add(row.effects, row.reason, general=True)
    args, texts, script, fed = list(call.args), list[Text](), False, False
    python = re.fullmatch(r"(i?python|pypy|micropython|py)[\d.]*", call.name) is not None
    while args:
        word = args.pop(0)
        option = word.literal or word.prefix
        short = _PYTHON.match(option) if python and not script else None
        if short is not None:
            rest = [word.cut(short.start(2))] if short[2] or not word.is_literal else []
            if short[1] == "m":
                module(call, [*rest, *args])
                return
            texts += rest or args[:1]
            args = args[0 if rest else 1 :]
            script = True
        elif python and option in {"-W", "-X", "--check-hash-based-pycs"}:
            args = args[1:]
        elif call.name == "deno" and option == "eval":
            texts, args, script = [*texts, *args], [], True
        elif not option.startswith("-") or option == "-":
            argument(call, word) if not _is_script(word) or script else None
            texts += [word.output] if word.output is not None and not script else []
            fed |= not script and (option == "-" or is_input(word, call.scene))
            script |= not fed
        elif option == "-p" and call.name not in {"perl", "ruby"} and args:
            texts.append(args.pop(0))
            script = True
        elif _CODE_OPTION.fullmatch(option) and args:
            _in_place(call, option, args)
            texts.append(args.pop(0))
            script = True
        else:
            _in_place(call, option, args)
            argument(call, word)
            if letters := re.match(r"-[A-Za-z0]*?[ceErRM](?=.)", option):
                texts.append(word.cut(letters.end()))
            if match := re.match(r"--\w[\w-]*=", option):
                texts.append(word.cut(match.end()))
                script |= match[0] in {"--eval=", "--print=", "--execute="}
    if not script and call.scene.stdin is not None:
        texts.append(call.scene.stdin)
    for text in texts:
        gives_away(call, text)


def _is_script(word: Text) -> bool:
    """A script may lie with the toolchain; that it is read there is not touching it."""
    return (word.literal or "").startswith(("/usr/", "/opt/")) and "://" not in (word.literal or "")


def _in_place(call: Call, option: str, args: list[Text]) -> None:
    """`perl -pi -e CODE FILE`: the files are written."""
    if call.name in {"perl", "ruby"} and re.match(r"-[a-z0]*i", option):
        for word in [word for word in args if not word.prefix.startswith("-")][1:]:
            call.write(word)


def module(call: Call, args: list[Text]) -> None:
    """`python -m module`: some modules are commands of their own."""
    from tools.commands.judge import argument

    name = args[0].literal or ""
    known = _MODULES.get(name.partition(".")[0])
    if known is not None and table().row(known) is not None:
        command_of(call, [lit(known), *args[1:]])
        return
    if name in {"venv", "virtualenv", "zipfile", "tarfile", "compileall", "gzip"}:
        for word in args[1:]:
            call.write(word) if not word.prefix.startswith("-") else None
    for word in args[1:]:
        argument(call, word)
        if name in {"timeit", "pdb", "IPython", "cProfile", "profile", "trace"}:
            gives_away(call, word)


def gives_away(call: Call, text: Text) -> None:
    """What code says in so many words."""
    spelled = "".join(part.text if part.kind == "lit" else " " for part in text.parts)
    if not re.search(r"print\s*=(?!=)|\bdef\s+print\b|\bas\s+print\b", spelled):
        spelled = _PRINTS_HOME.sub("print()", spelled)
    shortened = re.sub(r"['\"]\s*\+\s*['\"]", "", spelled)
    for written in dict.fromkeys([spelled, shortened]):
        for deleted in _DESTROYS.finditer(written):
            call.add({Effect.DESTROY}, f"its code says {deleted[0].strip()}")
            named = None if _MOVES.search(written) else _NAMED.match(written, deleted.start())
            call.empty(lit(named[1]) if named is not None else ANY)
        found = _CONNECTS.search(written) or (_STARTS.search(written) and _URL.search(written))
        if found or (_NET.search(written) and _ASKS.search(written)):
            call.add({Effect.NETWORK}, f"its code says {found[0][:60] if found else 'that it connects'}")
        for place in _PLACES.finditer(written):
            spot = places.HOME + place[1][1:] if place[1].startswith("~") else place[1]
            if places.leads_out(lit(spot), call.scene.folders):
                call.add({Effect.OUTSIDE}, f"its code names {place[1][:60]}")
        if found := _HOME.search(written):
            call.add({Effect.OUTSIDE}, f"its code says {found[0]}")
        if _STARTS.search(written):
            _commands_in(call, written)


def _commands_in(call: Call, written: str) -> None:
    """Commands in the texts of code that starts programs."""
    from tools.commands.judge import only_worse

    for match in list(_TEXTS.finditer(written))[:200]:
        line = next((group for group in match.groups() if group is not None), "")
        name = line.strip().split(" ", 1)[0].rpartition("/")[2]
        if (" " in line.strip() or ";" in line) and table().row(name) is not None:
            only_worse(call, re.sub(r"\\(.)", r"\1", line), [])
    for match in list(_LISTS.finditer(written))[:100]:
        if table().row(match[1].rpartition("/")[2]) is not None:
            words = [match[1], *re.findall(r"['\"]([^'\"\n]*)['\"]", match[2])]
            only_worse(call, None, [lit(word) for word in words])


# Build rules.

_PUBLISHES = re.compile(
    r":?(deploy|publish\w*|release:\w+|uploadArchives|install-release|upload_\w+)|[\w:-]*:publish\w*"
)


def build(call: Call, row: Row) -> None:
    """`make` and the like: rules of the project, some of them of the tool itself."""
    from tools.commands.judge import argument, embedded

    call.add(row.effects, row.reason, general=True)
    words = [word.literal for word in call.args]
    for at, word in enumerate(call.args):
        known = word.literal or ""
        argument(call, word)
        if call.name in {"make", "gmake"}:
            _make_word(call, known)
        if call.name == "cmake" and known == "-E":
            kind = words[at + 1] if at + 1 < len(words) else None
            removes = kind is None or kind.startswith(("rm", "remove", "time", "env"))
            call.add({Effect.DESTROY} if removes else {Effect.WRITE}, "cmake -E works on files")
            for place in call.args[at + 2 :] if removes else ():
                call.empty(place)
            embedded(call)
        if call.name not in {"make", "gmake", "ninja"} and _PUBLISHES.fullmatch(known):
            call.add({Effect.NETWORK, Effect.DELIVER}, f"{known} publishes")
    stdin = call.scene.stdin
    read = [stdin] if stdin is not None else []
    for text in [*read, *(word.output for word in call.args if word.output is not None)]:
        _rules(call, text.shown())


def _make_word(call: Call, known: str) -> None:
    """A word of `make`: a rule, or a variable that rules put into commands."""
    from tools.commands.judge import may_be_line

    if re.search(r"\$[({]|!=", known) or re.match(r"-\w*E|--ev|\.?SHELL(FLAGS)?\s*[:?+]*=", known):
        call.everything("a rule on the command line runs a command")
    name, equals, value = known.partition("=")
    if equals and re.fullmatch(r"[\w.]+\s*[:?+]*", name):
        first = value.split()[0] if value.split() else ""
        if may_be_line(value) or (" " in value and table().row(first) is not None):
            call.reader.maybe_line(value, call.scene.child())


def _rules(call: Call, text: str) -> None:
    """The commands in rules that the line itself holds."""
    if re.search(
        r"\$[({](shell|eval|file|guile)\b|!=|\.RECIPEPREFIX|\.ONESHELL|^\s*(load|define)\b", text, re.MULTILINE
    ):
        call.everything("the rules that it is fed run commands")
    for line in re.findall(r"^\t[@+-]*(.*)$|^[^\t#\n][^:\n]*:[^=\n;]*;\s*[@+-]*(.*)$", text, re.MULTILINE):
        call.reader.maybe_line((line[0] or line[1]).replace("$$", "$"), call.scene.child())
