"""Walks the tree of a line: statement by statement, keeping track of what is known, judging every command.

Threat model: every statement counts as run, whatever its condition. Where two ways meet, only what both agree on
is known. A statement that is not understood makes the line unreadable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.commands import assign, control, places
from tools.commands.call import Call
from tools.commands.document import document
from tools.commands.expand import is_word, text_from, words_of
from tools.commands.findings import Findings
from tools.commands.grammar import UnreadableError
from tools.commands.judge import judge
from tools.commands.scene import Scene
from tools.commands.syntax import dash_before, parse, text_of
from tools.commands.text import ANY, Text, joined, lit
from tools.protocol import Effect

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_STEPS = 20_000
MAX_DEPTH = 24
_NOTHING = lit("")
_SILENT = re.compile(r"\s*(:|true|false|cat\s+/dev/null|printf\s+(''|\"\")|echo\s+-n(\s+(''|\"\"))?)\s*")
_SKIPPED = frozenset(
    {"comment", ";", "&", "\n", ";;", ";&", ";;&", "{", "}", "(", ")", "do", "done", "then", "fi"}
)


class Reader:
    """Reads one line, and the lines in it. `functions` are those defined so far, `places` where commands run."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.functions: dict[str, list[Node]] = {}
        self.aliases: dict[str, Text] = {}
        self.commands: dict[tuple[str, ...], None] = {}
        self.called: set[str] = set()
        self.assigned: Counter[str] = Counter()
        self.traps: list[tuple[Text, Scene]] = []
        self.places: set[places.Folders] = set()
        self.steps = 0
        self.depth = 0

    def line(self, code: str, scene: Scene, *, holes: bool = False) -> Text:
        """Read a whole line; what it prints. Raises UnreadableError."""
        self.step(1 + len(code) // 50)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError("is too deeply nested")
        try:
            return self.statement(parse(code, holes=holes), scene)
        finally:
            self.depth -= 1

    def maybe_line(self, code: str, scene: Scene) -> None:
        """Read a text that may be a line. One that is none is no command that a shell would run."""
        try:
            self.line(code, scene)
        except UnreadableError:
            self.findings.add({Effect.RUN}, code[:200], "may be a command")

    def finish(self, scene: Scene) -> None:
        """Read what runs at the end or may be run by a name that was not seen: traps, functions not called."""
        while self.traps or self.functions.keys() - self.called:
            traps, self.traps = self.traps, []
            for code, then in traps:
                then.values = {name: value for name, value in then.values.items() if self.assigned[name] < 2}
                self.code(code, then, "a trap")
            for name in sorted(self.functions.keys() - self.called):
                self.call_function(name, Scene(scene.folders, scene.folders), [], known=False)

    def step(self, work: int = 1) -> None:
        """Count the work, so that a line cannot make it endless. Raises UnreadableError."""
        self.steps += work
        if self.steps > MAX_STEPS:
            raise UnreadableError("does too much to be followed")

    def code(self, code: Text, scene: Scene, what: str) -> Text:
        """Read a word as a line; when it is not known, it could do anything."""
        if code.literal is not None:
            return self.line(code.literal, scene)
        if not code.many and all(part.kind in {"lit", "name"} for part in code.parts):
            spelled = "".join(part.text if part.kind == "lit" else "\ue000" for part in code.parts)
            return self.line(spelled, scene, holes=True)
        self.findings.everything(code.shown()[:200] or what, f"{what} runs commands that cannot be told from here")
        return ANY

    def call_function(self, name: str, scene: Scene, args: list[Text], *, known: bool = True) -> None:
        """Walk the bodies of a function with these arguments (any, if not `known`)."""
        self.called.add(name)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError("is too deeply nested")
        before = {key: value for key, value in scene.values.items() if key.isdigit() or key == "@"}
        control.set_positional(scene, args if known else None)
        for body in self.functions[name]:
            self.statement(body, scene)
        control.set_positional(scene, None)
        scene.values |= before
        self.depth -= 1

    # What expanding needs.

    def output_of(self, node: Node, scene: Scene) -> Text:
        """Walk a substitution, in a shell of its own."""
        inside = scene.copy()
        if text_of(node).lstrip().startswith("`") and "\\" in text_of(node):
            raise UnreadableError("has backslashes between backquotes, which cannot be read for certain")
        statements = [child for child in node.named_children if child.type != "comment"]
        outputs = []
        for child in statements:
            if child.type == "file_redirect":
                self._redirect(child, inside, node, silent=False)
                outputs.append(ANY)
            else:
                outputs.append(self.statement(child, inside))
        return outputs[0] if len(outputs) == 1 else (lit("") if not outputs else ANY)

    def arithmetic(self, node: Node, scene: Scene) -> None:
        control.arithmetic(node, scene, self)

    def count_assignment(self, name: str) -> None:
        self.assigned[name] += 1

    # Statements.

    def statement(self, node: Node, scene: Scene) -> Text:
        """Walk one statement; what it prints, as far as is known."""
        self.step()
        kind = node.type
        if kind in _SKIPPED:
            return _NOTHING
        scene.sure = scene.folders
        if kind in {"program", "compound_statement", "do_group", "else_clause"}:
            return self.sequence(node, scene)
        if kind == "subshell":
            return self.sequence(node, scene.copy())
        if kind in _OWN:
            return _OWN[kind](self, node, scene)
        if kind not in _ELSEWHERE:
            raise UnreadableError(f"holds {kind.replace('_', ' ')}, which cannot be read for certain")
        output = _ELSEWHERE[kind](node, scene, self)
        return output if isinstance(output, Text) else ANY

    def sequence(self, node: Node, scene: Scene) -> Text:
        """Walk statements one after the other."""
        if node.children and node.children[0].type == "((":
            self.arithmetic(node, scene)
            return _NOTHING
        outputs: list[Text] = []
        for child in node.children:
            if child.type in _SKIPPED or child.type in {"else", "elif"}:
                continue
            background = child.next_sibling is not None and child.next_sibling.type == "&"
            outputs.append(self.statement(child, scene.copy() if background else scene))
        return outputs[0] if len(outputs) == 1 else ANY if outputs else _NOTHING

    def _list(self, node: Node, scene: Scene) -> Text:
        left, sign, right = node.children[0], node.children[1], node.children[-1]
        self.statement(left, scene)
        if sign.type == "||" and _leaves(right) and "exit" not in self.functions:
            self.statement(right, scene.copy())
            scene.folders = scene.sure
        else:
            self.after(sign.type, lambda then: self.statement(right, then), scene)
        return ANY

    def after(self, sign: str, right: Callable[[Scene], Text], scene: Scene) -> None:
        """Walk the right side of `&&` or `||`, which may not happen."""
        then = scene.copy()
        then.folders = scene.sure if sign == "&&" else scene.folders
        then.sure = then.folders
        right(then)
        sure = then.sure if sign == "&&" else _either(then.sure, scene.sure)
        scene.join(then)
        scene.sure = sure

    def _pipeline(self, node: Node, scene: Scene) -> Text:
        return self.pipe([child for child in node.children if child.type not in {"|", "|&", "comment"}], scene)

    def pipe(self, stages: list[Node], scene: Scene, stdin: Text | None = None) -> Text:
        """Walk the stages of a pipeline, each in a shell of its own, each reading what the last one prints."""
        output = stdin
        for stage in stages:
            inside = scene.copy()
            inside.stdin = output if output is not None else scene.stdin
            output = self.statement(stage, inside)
        return output or ANY

    def _negated_command(self, node: Node, scene: Scene) -> Text:
        for child in node.named_children:
            self.statement(child, scene)
        scene.sure = scene.folders
        return ANY

    def _redirected_statement(self, node: Node, scene: Scene) -> Text:
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        body = next((child for child in node.children if not child.type.endswith("_redirect")), None)
        return self._redirected(body, redirects, scene, node)

    def _redirected(self, body: Node | None, redirects: list[Node], scene: Scene, node: Node) -> Text:
        """Walk a statement with redirections. Behind a list they belong to its last command."""
        if body is not None and body.type == "list":
            self.statement(body.children[0], scene)
            last = body.children[-1]
            self.after(body.children[1].type, lambda then: self._redirected(last, redirects, then, node), scene)
            return ANY
        silent = body is None or _SILENT.fullmatch(text_of(body)) is not None
        stdin, extra = self._redirects(redirects, scene, node, silent=silent)
        if body is not None and any(dash_before(redirect) for redirect in redirects):
            extra = [lit("-"), *extra]
        output = ANY
        kept, scene.stdin = scene.stdin, stdin if stdin is not None else scene.stdin
        if body is not None and body.type == "command":
            output = self._command(body, scene, extra)
        elif body is not None:
            output = self.statement(body, scene)
        scene.stdin = kept
        if any(re.match(r"1?(>|&>)", text_of(redirect)) for redirect in redirects):
            output = _NOTHING
        for redirect in redirects:
            output = self._behind_document(redirect, scene, output)
        return output

    def _behind_document(self, node: Node, scene: Scene, output: Text) -> Text:
        """What the tree hangs below `<<`: the pipe or the `&&` that follows it on its line."""
        sign = ""
        for child in node.children:
            if child.type in {"&&", "||"}:
                sign = child.type
            elif child.type == "pipeline":
                stages = [part for part in child.children if part.type not in {"|", "|&", "comment"}]
                output = self.pipe(stages, scene, output)
            elif sign and child.is_named and not child.type.startswith("heredoc"):
                self._right_of(sign, child, scene)
                sign, output = "", ANY
        return output

    def _right_of(self, sign: str, right: Node, scene: Scene) -> None:
        self.after(sign, lambda then: self.statement(right, then), scene)

    # Redirections.

    def _redirects(
        self, redirects: list[Node], scene: Scene, node: Node, *, silent: bool
    ) -> tuple[Text | None, list[Text]]:
        """What the command reads, and words of it that the tree hangs below its redirections."""
        stdin: Text | None = None
        extra: list[Text] = []
        for redirect in redirects:
            if redirect.type == "file_redirect":
                found, words = self._redirect(redirect, scene, node, silent=silent)
                extra += words
                stdin = found if found is not None else stdin
            elif redirect.type == "herestring_redirect":
                stdin = joined(
                    *(text_from(c, scene, self) for c in redirect.named_children if is_word(c)), lit("\n")
                )
            else:
                stdin = document(redirect, scene, self)
                for child in redirect.children:
                    if child.type in {"file_redirect", "herestring_redirect"}:
                        found, words = self._redirects([child], scene, node, silent=silent)
                        extra += words
                    elif is_word(child):
                        extra += words_of(child, scene, self)
        return stdin, extra

    def _redirect(self, node: Node, scene: Scene, whole: Node, *, silent: bool) -> tuple[Text | None, list[Text]]:
        """Note what one redirection does; what is read through it (ANY, if a file), and further words."""
        sign = next(child.type for child in node.children if child.type != "file_descriptor")
        targets = [child for child in node.children if is_word(child) and child.type != "file_descriptor"]
        if not targets:
            return None, []
        words = words_of(targets[0], scene, self)
        target = words[0] if len(words) == 1 else ANY
        extra = [word for child in targets[1:] for word in words_of(child, scene, self)]
        shown = text_of(whole)[:200]
        if target.wild and (not target.prefix or target.prefix.startswith("/dev/")):
            self.findings.add({Effect.NETWORK}, shown, "may open /dev/tcp")
        if sign in {"<&", ">&"} and re.fullmatch(r"\d+-?|-", target.literal or ""):
            return None, extra
        if sign.startswith("<"):
            self.findings.add(places.reading(target, scene.folders), shown, "reads from there")
            return target.output or (ANY if target.literal != "/dev/null" else _NOTHING), extra
        effects = places.writing(target, scene.folders)
        self.findings.add(effects, shown, f"writes to {target.shown()[:80] or 'a file'}")
        if silent and ">>" not in sign and effects:
            self.findings.add({Effect.DESTROY}, shown, f"empties {target.shown()[:80]}")
        return None, extra

    # Commands.

    def _command(self, node: Node, scene: Scene, extra: list[Text] | None = None) -> Text:
        words: list[Text] = []
        assignments: list[Node] = []
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        end = -1
        for child in node.children:
            if child.type == "variable_assignment":
                assignments.append(child)
            elif child.type == "command_name":
                words += [word for part in child.children for word in words_of(part, scene, self)]
            elif is_word(child) or child.type in {"$", "==", "=~", "(", ")"}:
                if child.start_byte == end:
                    self._joined_words(node, child)
                words += (
                    [lit("$")] if child.type == "$" else words_of(child, scene, self) if is_word(child) else [ANY]
                )
            elif child.type not in {"comment", "file_redirect", "herestring_redirect", "heredoc_redirect"}:
                raise UnreadableError(f"holds {child.type}, which cannot be read for certain")
            end = child.end_byte
        words += extra or []
        shown = text_of(node)
        return self.command(words, assignments, redirects, scene, shown)

    def _joined_words(self, node: Node, child: Node) -> None:
        """Two words that touch are one to the shell; only `$"…"` is known to look like that."""
        before = child.prev_sibling
        if not (before is not None and before.type == "$" and child.type == "string"):
            raise UnreadableError(f"has words that cannot be told apart: {text_of(node)[:40]}")

    def command(
        self, words: list[Text], assignments: list[Node], redirects: list[Node], scene: Scene, shown: str
    ) -> Text:
        """One simple command: its redirections, its assignments, then what it is."""
        stdin, kept = None, scene.stdin
        if redirects:
            stdin, extra = self._redirects(redirects, scene, redirects[0].parent or redirects[0], silent=not words)
            words = words + extra
        scene.stdin = stdin if stdin is not None else scene.stdin
        try:
            if not words:
                for assignment in assignments:
                    assign.variable_assignment(assignment, scene, self)
                return _NOTHING
            for assignment in assignments:
                name, value = assign.assignment(assignment, scene, self)
                if not (name == "IFS" and words[0].literal == "read"):
                    assign.exported(name, value, shown, scene, self)
            return judge(Call(self, scene, words, shown))
        finally:
            scene.stdin = kept

    def _function_definition(self, node: Node, scene: Scene) -> Text:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None or body is None:
            raise UnreadableError("has a function that cannot be read for certain")
        self._redirects([c for c in node.children if c.type.endswith("_redirect")], scene, node, silent=False)
        self.functions.setdefault(text_of(name), []).append(body)
        self.called.discard(text_of(name))
        return _NOTHING


def _either(one: places.Folders, other: places.Folders) -> places.Folders:
    return None if one is None or other is None else one | other


def _leaves(node: Node) -> bool:
    """Does the shell end here?"""
    last = node.named_children[-1] if node.type == "compound_statement" and node.named_children else node
    return last.type == "command" and re.fullmatch(r"exit(\s+\d+)?", text_of(last)) is not None


_OWN: dict[str, Callable[[Reader, Node, Scene], Text]] = {
    "list": Reader._list,
    "pipeline": Reader._pipeline,
    "negated_command": Reader._negated_command,
    "redirected_statement": Reader._redirected_statement,
    "command": Reader._command,
    "function_definition": Reader._function_definition,
}
_ELSEWHERE: dict[str, Callable[[Node, Scene, Reader], object]] = {
    "variable_assignment": assign.variable_assignment,
    "variable_assignments": assign.variable_assignments,
    "declaration_command": assign.declaration_command,
    "unset_command": assign.unset_command,
    "if_statement": control.if_statement,
    "while_statement": control.while_statement,
    "for_statement": control.for_statement,
    "c_style_for_statement": control.c_style_for_statement,
    "case_statement": control.case_statement,
    "test_command": control.test_command,
}
