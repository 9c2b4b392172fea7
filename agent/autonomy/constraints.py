"""What the user said the agent must not do, as rules: "don't touch tests/", "no network", "only change src/".

A small grammar over English sentences, and conservative: a clause counts only if it stands at the beginning of a
sentence or after a comma, a colon or the like, is an order, and speaks of something that has a rule. Clauses with
"unless" or "if" are left alone, as are code blocks and quoted lines. What comes out only ever refuses.

Threat model: an issue may be somebody else's text. It can make the agent do less with this, never more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from agent.autonomy.rules import Placed, Rule
from agent.autonomy.visible import visible
from tools.commands.table import table

SOURCE = "what the user said"
MAX_TEXT = 64 << 10
"""Characters of a text that are read."""
MAX_SENTENCE = 600
"""A longer sentence gives no order of this kind."""
MAX_CONSTRAINTS = 50
MAX_SAID = 200
MAX_TOLD = 5
"""Orders that were not understood, of one text, that the user is told of."""

COMMITS = ("git commit *", "git commit-tree *")
TESTS = ("tests/", "test/", "__tests__/", "spec/", "test_*.py", "*_test.*", "*.test.*", "*.spec.*", "conftest.py")


class Constraint(NamedTuple):
    """A clause of the user's, and the rule that holds the agent to it; the rule refuses."""

    said: str
    rule: Rule


def extract(text: str) -> list[Constraint]:
    """The constraints in a text, in order, each clause once. A pure function; never raises."""
    found: dict[str, Constraint] = {}
    for sentence in _sentences(text[:MAX_TEXT]):
        heard = [(clause, each) for clause in _clauses(sentence) for each in _conditions(clause)]
        heard += [(clause, each) for clause in _statements(sentence) for each in _stated(clause)]
        for clause, conditions in heard:
            said = visible(" ".join(clause.split()))[:MAX_SAID]
            reason = f"you said: {said}"
            key = f"{said}{conditions}"
            found.setdefault(key, Constraint(said, Rule.model_validate({**conditions, "reason": reason})))
            if len(found) >= MAX_CONSTRAINTS:
                return list(found.values())
    return list(found.values())


def placed(constraints: list[Constraint], before: int = 0) -> tuple[Placed, ...]:
    """The constraints as rules that refuse, counted on from `before`."""
    return tuple(Placed("deny", each.rule, SOURCE, before + n) for n, each in enumerate(constraints, 1))


_FENCE = re.compile(r"^\s*(```|~~~)")
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+")


def _sentences(text: str) -> Iterator[str]:
    """The sentences, without code blocks and quoted lines. Lines of a paragraph belong together."""
    text = text.replace("’", "'").replace("\r\n", "\n")
    paragraph: list[str] = []
    fenced = False
    for line in [*text.split("\n"), ""]:
        if _FENCE.match(line):
            fenced = not fenced
        ends = fenced or not line.strip() or line.lstrip().startswith((">", "#", "|")) or _FENCE.match(line)
        if (ends or _BULLET.match(line)) and paragraph:
            yield from _split(" ".join(paragraph))
            paragraph = []
        if not ends:
            paragraph.append(_BULLET.sub("", line).strip())


def _split(paragraph: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?;])\s+", paragraph) if part and len(part) <= MAX_SENTENCE]


_NOT = (
    r"(?:do not|don't|dont|never|must not|mustn't|should not|shouldn't|may not|can not|cannot|can't"
    r"|i (?:do not|don't|dont) want (?:you|the agent|anybody|anyone) to"
    r"|(?:are|'re) not (?:allowed|supposed|permitted) to"
    r"|(?:under no circumstances|on no account|by no means)(?: should you| may you| must you)?)"
)
_HEAD = re.compile(
    rf"\b(?:{_NOT}|avoid|refrain from|without|no|only|just|change only|edit only|modify only|touch only|limit"
    r"|restrict|keep|leave|work|stay|offline)\b",
    re.IGNORECASE,
)
_FORBIDS = re.compile(rf"\b(?:{_NOT}|avoid|refrain from|only|leave)\b", re.IGNORECASE)
_SPEAKS = re.compile(
    r"(?:^|\s|`)(?:\.{0,2}/?[\w.*-]+/|[\w*-]+\.(?:[a-z]{1,4}|lock|json|toml))"
    r"|\b(?:install\w*|dependenc\w+|packages?|network|internet|online|commit\w*|push\w*|tests?|delet\w+)\b",
    re.IGNORECASE,
)
"""Files and deeds that a rule could be about."""
_BEFORE = re.compile(
    r"(?:^|[,;:(]|\s[-–—]+)\s*(?:(?:and|but|also|so|then|please|note|important|however|you|we|one|must|should|may|can"
    r"|to|that|ensure|remember|(?:make|be)(?: very)? sure|take care|be careful)[,:]?\s+)*$"
    r"|\b(?:and|but)\s+(?:please\s+|also\s+)*$",
    re.IGNORECASE,
)


_ORDER = re.compile(
    r"(?:please\s+)?(?:fix|solve|repair|make|add|implement|refactor|update|change|write|do|improve|clean|rename|replace"
    r"|resolve|find|get|support|handle|speed|port)\b",
    re.IGNORECASE,
)


def _may_begin(sentence: str, head: re.Match[str]) -> bool:
    """May an order begin here? "without" also does within a sentence that is an order."""
    before = sentence[: head.start()]
    return bool(_BEFORE.search(before)) or (head[0].lower() == "without" and bool(_ORDER.match(before)))


def _clauses(sentence: str) -> Iterator[str]:
    """The parts of a sentence that begin with the head of an order, each up to the next one."""
    starts = [found.start() for found in _HEAD.finditer(sentence) if _may_begin(sentence, found)]
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(sentence)
        clause = re.sub(
            r"[\s,;:(–—-]+(?:(?:and|but|please|also|so|then|you|must|should|may)\s*)*$", "", sentence[start:end]
        )
        if not re.search(r"\b(?:unless|if|except when|until|otherwise)\b", clause, re.IGNORECASE):
            yield clause.rstrip(" .!;)")


def _statements(sentence: str) -> Iterator[str]:
    """The parts of a sentence that say of something that it is not to be changed."""
    for clause in re.split(r"\s*[,;:]\s+(?:(?:and|but|also)\s+)?", sentence.strip().rstrip(" .!")):
        if not re.search(r"\b(?:unless|if|when|until|because)\b", sentence, re.IGNORECASE):
            yield clause


def unheard(text: str) -> list[str]:
    """Orders that speak of something that could have a rule, and were not understood. A pure function."""
    heard = [each.said for each in extract(text)]
    found = []
    for sentence in _sentences(text[:MAX_TEXT]):
        whole = visible(" ".join(sentence.split()))[:MAX_SAID].rstrip(" .!")
        ordered = any(_may_begin(sentence, head) for head in _FORBIDS.finditer(sentence))
        if ordered and _SPEAKS.search(sentence) and not any(said in whole for said in heard):
            found.append(whole)
    return list(dict.fromkeys(found))[:MAX_TOLD]


_ING = r"(?:touching|changing|modifying|editing|altering|rewriting|updating|writing to|moving|renaming)"
_CHANGE = (
    r"(?:touch|change|modify|edit|alter|rewrite|update|write to|write in|write into|move|rename|make changes to"
    r"|make changes in)"
)
_AGAINST = rf"(?:{_NOT}|avoid|refrain from|without)\s+(?:ever\s+|also\s+|please\s+|make\s+)?"
_GOES_ON = r"and|but|or|nor|for|in|to|at|from|please|yet|either|here|while|when|just|with|as"
_END = rf"(?=\s*(?:$|[.,;:!)]|\s[-–—]|\b(?:{_GOES_ON})\b))"
_SOME = r"(?:(?:any|new|more|other|additional|extra|external|third-party|further|the|your|my|of)\s+)*"
_PACKAGES = rf"{_SOME}(?:packages?|dependenc(?:y|ies)|librar(?:y|ies)|modules?|software|tools?)"
_WORK = rf"(?:anything|it|them|this|{_SOME}(?:changes?|files?|code|work|branch(?:es)?|commits?))"
_USE = r"(?:use|using|access|accessing|reach|reaching|touch|touching|connect to|connecting to|go to|hit)"
_NET = r"(?:the\s+)?(?:network|internet|web)(?:\s+(?:access|connections?|requests?|calls?|traffic|at all))?"

_INSTALL: dict[str, Any] = {"installs": True}
_OFFLINE: dict[str, Any] = {"effects": ["network"]}
_COMMIT: dict[str, Any] = {"commands": COMMITS}
_PUSH: dict[str, Any] = {"commands": ["git push *"]}
_DESTROY: dict[str, Any] = {"effects": ["destroy"]}
_ALL: dict[str, Any] = {"paths": ["/*"], "effects": ["write", "destroy"]}


def _p(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_PLAIN: tuple[tuple[re.Pattern[str], dict[str, Any]], ...] = (
    (
        _p(rf"{_AGAINST}(?:install|installing)(?:\s+(?:anything|something|things|stuff|{_PACKAGES}))?{_END}"),
        _INSTALL,
    ),
    (_p(rf"{_AGAINST}(?:add|adding|pull in|introduce)\s+{_SOME}(?:packages?|dependenc(?:y|ies)){_END}"), _INSTALL),
    (
        _p(rf"no\s+{_SOME}(?:dependenc(?:y|ies)|packages?|installs?|installations?|installing)\s*(?:please)?$"),
        _INSTALL,
    ),
    (_p(rf"{_AGAINST}(?:{_USE}\s+)?{_NET}{_END}"), _OFFLINE),
    (_p(rf"{_AGAINST}(?:go|going)\s+online{_END}"), _OFFLINE),
    (_p(rf"no\s+{_NET}\s*(?:please)?$"), _OFFLINE),
    (_p(r"(?:(?:work|stay)\s+offline|offline)(?:\s+only|\s+please)?$"), _OFFLINE),
    (_p(rf"{_AGAINST}(?:commit|committing)(?:\s+{_WORK})?{_END}"), _COMMIT),
    (_p(rf"no\s+{_SOME}(?:commits?|committing)\s*(?:please)?$"), _COMMIT),
    (_p(rf"{_AGAINST}(?:force[- ]?)?(?:push|pushing)(?:\s+{_WORK})?{_END}"), _PUSH),
    (_p(r"no\s+(?:push(?:es|ing)?)\s*(?:please)?$"), _PUSH),
    (_p(rf"{_AGAINST}(?:delete|remove|deleting|removing)\s+(?:anything|{_SOME}files?)\s*$"), _DESTROY),
    (_p(rf"{_AGAINST}(?:{_CHANGE}|{_ING})\s+(?:anything|{_SOME}(?:files?|code))\s*$"), _ALL),
)

_TARGETED = _p(rf"{_AGAINST}(?P<verb>{_CHANGE}|{_ING}|delete|remove|deleting|removing)\s+(?P<rest>.+)$")
_NO_OTHER = _p(
    r"no\s+(?:changes|edits|modifications)\s+(?:(?:outside(?:\s+of)?|other\s+than|except(?:\s+for)?|but|besides)\s+)"
    r"(?:(?:to|in|under)\s+)?(?P<rest>.+)$"
)
_RUN = _p(rf"{_AGAINST}(?:run|running|execute|executing|invoke|invoking)\s+(?P<rest>.+)$")
_STATED = _p(
    r"(?P<rest>[^,;:]+?)\s+(?:(?:is|are|stays?|remains?)(?:\s+to\s+be)?|(?:must|should|has\s+to|have\s+to)\s+(?:be|stay|remain))\s+"
    r"(?:read[- ]?only|off[- ]limits|untouched|unchanged|left\s+alone)$"
)
_UNTOUCHED = _p(
    r"(?P<rest>[^,;:]+?)\s+(?:must|should|may|can)(?:\s+not|n't)\s+be\s+(?:touched|changed|modified|edited|altered|moved)$"
)
_NO_CHANGES = _p(r"no\s+(?:changes|edits|modifications)\s+(?:to|in|under)\s+(?P<rest>.+)$")
_LEAVE = _p(r"(?:leave|keep)\s+(?P<rest>.+?)\s+(?:alone|untouched|unchanged|as (?:it is|they are|is))$")
_ELSE = _p(
    r"^(?:anything|any\s+(?:files?|code)|files?|code)\s+"
    r"(?:outside(?:\s+of)?|other\s+than|except(?:\s+for)?|but|besides)\s+(?P<rest>.+)$"
)
_ONLY = tuple(
    map(
        _p,
        (
            rf"(?:only|just)\s+(?:{_CHANGE}|work\s+(?:in|on)|make\s+changes\s+(?:in|to|under))\s+(?P<rest>.+)$",
            r"(?:change|edit|modify|touch)\s+only\s+(?P<rest>.+)$",
            r"(?:limit|restrict|keep)\s+(?:(?:all|your|the|any)\s+)*(?:changes|edits|work)\s+(?:to|in|within|inside)\s+(?P<rest>.+)$",
            r"(?:work|stay)\s+(?:only\s+)?(?:in|within|inside)\s+(?P<rest>.+?)(?:\s+only)?$",
        ),
    )
)


def _conditions(clause: str) -> Iterator[dict[str, Any]]:
    """The conditions of the rules that a clause amounts to."""
    for pattern, conditions in _PLAIN:
        if pattern.match(clause):
            yield conditions
            return
    if found := _RUN.match(clause):
        yield from _commands(found["rest"])
        return
    for pattern in (*_ONLY, _NO_OTHER):
        if found := pattern.match(clause):
            yield from _only(found["rest"])
            return
    for pattern in (_TARGETED, _NO_CHANGES, _LEAVE):
        if found := pattern.match(clause):
            if outside := _ELSE.match(found["rest"]):
                yield from _only(outside["rest"])
                return
            paths, _ = _targets(found["rest"])
            verb = found.groupdict().get("verb") or ""
            effects = ["destroy"] if verb.lower().startswith(("delet", "remov")) else ["write", "destroy"]
            if paths:
                yield {"paths": paths, "effects": effects}
            return


def _stated(clause: str) -> Iterator[dict[str, Any]]:
    """The conditions of a rule on what a clause says is not to be changed."""
    for pattern in (_STATED, _UNTOUCHED):
        if found := pattern.match(clause):
            paths, understood = _targets(found["rest"])
            if paths and understood:
                yield {"paths": paths, "effects": ["write", "destroy"]}


_COMMAND = re.compile(r"[a-z][\w.+-]*(?: [\w./:=@+-]+){0,3}")


def _commands(rest: str) -> Iterator[dict[str, Any]]:
    """Commands that are not to be run, in ticks or known by name; nothing, where one of them is not understood."""
    found = []
    rest = re.sub(r"\s+(?:please|at all|yourself|for me|again)$", "", rest)
    for part in re.split(r"\s*,\s*(?:(?:and|or|nor)\s+)?|\s+(?:and|or|nor)\s+", rest):
        ticked = re.fullmatch(r"`([^`]+)`(?:\s+commands?)?", part)
        said = ticked[1] if ticked else part
        if not _COMMAND.fullmatch(said) or not (ticked or _is_command(said.split())):
            return
        found.append(f"{said} *")
    yield {"commands": found}


def _is_command(words: list[str]) -> bool:
    """Is it a command and what it does, and no sentence?"""
    known = table().row(words[0])
    plain = {"on", "in", "the", "a", "with", "to", "it", "for", "this", "that", "of", "from", "when", "while"}
    return known is not None and not plain & set(words)


def _only(rest: str) -> Iterator[dict[str, Any]]:
    """Everything but the targets is kept; nothing, where one of them is not understood."""
    paths, understood = _targets(rest)
    if paths and understood:
        yield {"paths": ["/*", *(f"!{_anchored(path)}" for path in paths)], "effects": ["write", "destroy"]}


def _anchored(path: str) -> str:
    """A folder that may be changed is the one at the top."""
    return f"/{path}" if path.endswith("/") and not path.startswith("/") and path not in TESTS else path


_LEADING = _p(
    r"^(?:(?:any|all|anything|everything|the|a|an|existing|other|file|files|code|folder|directory|dir|of|in|under|inside"
    r"|below|within|from|my|your|our|these|those|either|both|contents?)\s+)*"
)
_TRAILING = _p(
    r"(?:\s+(?:folder|directory|dir|file|files|package|module|subfolder|at all|please|itself|only|code))+$"
)
_TEST_WORDS = _p(r"^(?:unit\s+|integration\s+)?(?:tests?|test\s+(?:files?|suites?|cases?|code))$")
_PATH = re.compile(
    r"/?(?:[\w.@+*-]+/)*(?:[\w.@+*-]+/|[\w@+*-]*\.?[\w@+*-]+\.[A-Za-z]\w{0,7}|\.[A-Za-z][\w.-]*|[\w.@+*-]+/[\w.@+*-]+)"
)
_NAME = re.compile(r"/?[\w.@+*-]+(?:/[\w.@+*-]+)*/?")
_KNOWN = _p(r"^(?:readme|changelog|license|makefile|dockerfile)$")


def _targets(rest: str) -> tuple[list[str], bool]:
    """Patterns for the files that are spoken of, and whether all of it was understood."""
    paths: list[str] = []
    understood = True
    for part in re.split(r"\s*,\s*(?:(?:and|or|nor)\s+)?|\s+(?:and|or|nor)\s+", rest.strip().rstrip(".")):
        target = _LEADING.sub("", f"{part.strip()} ").strip()
        found = _target(target)
        paths += found
        understood = understood and bool(found)
    return list(dict.fromkeys(paths)), understood


def _target(text: str) -> list[str]:
    ticked = re.match(r"^[`'\"]([^`'\"\s]+)[`'\"](.*)$", text)
    called = ticked[1] if ticked else _TRAILING.sub("", text)
    is_folder = bool(re.search(r"\b(?:folder|directory|dir|package)\b", text, re.IGNORECASE))
    if _TEST_WORDS.match(text) or (_TEST_WORDS.match(called) and not is_folder and not ticked):
        return list(TESTS)
    if _KNOWN.match(called):
        return [f"{variant}*" for variant in {called, called.upper(), called.capitalize()}]
    exact: Callable[[str], re.Match[str] | None] = _NAME.fullmatch if ticked or is_folder else _PATH.fullmatch
    if (
        not exact(called)
        or ".." in called.split("/")
        or len(called) > 200
        or any(c.count("*") > 2 for c in called.split("/"))
    ):
        return []
    name = called.removeprefix("./").removeprefix("/workspace/") or "/"
    if not name.strip("/.*"):
        return []
    name = f"{name.rstrip('/')}/" if is_folder else name
    return [f"/{name.lstrip('/')}" if "/" in name.rstrip("/") or called.startswith("/") else name]
