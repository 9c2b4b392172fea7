"""Walks the tree of a line: statement by statement, keeping track of what is known, judging every command.

Threat model: every statement counts as run, whatever its condition. Where two ways meet, only what both agree on
is known. A statement that is not understood makes the line unreadable.

It is one file since the kinds of statements hold each other, and all of them share one state.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.commands import assign, control, places
from tools.commands.call import Call
from tools.commands.expand import is_word, words_of
from tools.commands.findings import Findings
from tools.commands.grammar import UnreadableError
from tools.commands.judge import judge
from tools.commands.redirects import redirect, redirected, seen_through
from tools.commands.scene import Scene, Value, union
from tools.commands.syntax import HOLE, dash_before, parse, text_of
from tools.commands.text import ANY, NAME, Text, lit
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
    """Reads one line, and the lines in it. `functions` are those defined so far, each with all its bodies,
    `places` where commands run.

    `assigned` counts assignments. `fixed`: variables that may not take what they are given, `numbers`:
    those that evaluate it. `locals`: for each
    function that is being walked, the variables that are its own. `visited`: where the line went with `cd`,
    `moves`: how often.
    `extra_files`: a file is open besides the usual three, so that output may go elsewhere than it seems.
    """

    def __init__(self) -> None:
        self.findings = Findings()
        self.functions: dict[str, list[Node]] = {}
        self.aliases: dict[str, Text] = {}
        self.commands: dict[tuple[str, ...], None] = {}
        self.called: set[str] = set()
        self.assigned: Counter[str] = Counter()
        self.traps: list[tuple[Text, Scene, bool]] = []
        self.places: set[places.Folders] = set()
        self.visited: places.Folders = frozenset()
        self.moves = 0
        self.fixed: set[str] = set()
        self.numbers: set[str] = set()
        self.locals: list[set[str]] = []
        self.exports_all = False
        self.extra_files = False
        self.steps = 0
        self.depth = 0
        self._ways: list[tuple[object, list[Scene]]] = []
        self._stops: list[tuple[object, list[Scene]]] = []

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
            for code, then, at_the_end in traps:
                then.values = {name: value for name, value in then.values.items() if self.assigned[name] < 2}
                then.folders = then.sure = union(then.folders, union(self.visited, scene.folders))
                control.set_positional(then, None)
                before, counts, moves = then.copy(), self.assigned.copy(), self.moves
                self.code(code, then, "a trap")
                changed = any(counts[name] for name in self.assigned if self.assigned[name] > counts[name])
                changed |= self.moves > moves or not before.same(then, values=False)
                if changed and not at_the_end:
                    why = "a trap changes folders or variables while the line runs"
                    self.findings.everything(code.shown()[:200], why)
            for name in sorted(self.functions.keys() - self.called):
                where = union(scene.folders, self.visited)
                then = Scene(where, where, changed=scene.changed, defined=frozenset(self.functions))
                self.call_function(name, then, [], known=False)

    def step(self, work: int = 1) -> None:
        """Count the work, so that a line cannot make it endless. Raises UnreadableError."""
        self.steps += work
        if self.steps > MAX_STEPS:
            raise UnreadableError("does too much to be followed")

    def code(self, code: Text, scene: Scene, what: str) -> Text:
        """Read a word as a line; when it is not known, it could do anything."""
        if code.literal is not None:
            return self.line(code.literal, scene)
        variants = code.variants() or () if not code.many else ()
        if variants and all(part.kind in {"lit", "name"} for variant in variants for part in variant.parts):
            ways = [scene.copy() for _ in variants]
            for variant, way in zip(variants, ways, strict=True):
                spelled = "".join(part.text if part.kind == "lit" else HOLE for part in variant.parts)
                output = self.line(spelled, way, holes=True)
            scene.become(ways[0])
            for way in ways[1:]:
                scene.join(way)
            return output if len(ways) == 1 else ANY
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
        self.locals.append(set())
        ways = [scene.copy() for _ in self.functions[name]]
        for body, way in zip(list(self.functions[name]), ways, strict=True):
            self.framed(functools.partial(self.statement, body), way)
        scene.become(ways[0])
        for way in ways[1:]:
            scene.join(way)
        for local in self.locals.pop():
            scene.set(local, ANY)
        control.set_positional(scene, None)
        scene.values |= before
        self.depth -= 1

    def framed(self, walk: Callable[[Scene], object], scene: Scene) -> None:
        """Walk a loop's or a function's body, which `break` and the like may leave in the middle."""
        left: list[Scene] = []
        self._ways.append((scene.shell, left))
        try:
            walk(scene)
        finally:
            self._ways.pop()
        for way in left:
            scene.join(way)

    def leave(self, scene: Scene) -> None:
        """Note that a `break`, `continue` or `return` may go on behind any of the bodies that are being walked."""
        for shell, left in self._ways:
            if shell is scene.shell and not (left and left[-1].same(scene)):
                left.append(scene.copy())

    def may_stop(self, scene: Scene) -> None:
        """Note that bash may give up what stands here, and go on with the next line of the whole text."""
        for shell, left in self._stops:
            if shell is scene.shell and not (left and left[-1].same(scene)):
                left.append(scene.copy())

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
                redirect(child, inside, node, self, silent=False)
                outputs.append(ANY)
            else:
                outputs.append(self.statement(child, inside))
        return outputs[0] if len(outputs) == 1 else (lit("") if not outputs else ANY)

    def arithmetic(self, node: Node, scene: Scene) -> None:
        control.arithmetic(node, scene, self)
        if control.may_fail(node, scene):
            self.may_stop(scene)

    def evaluate(self, value: Text, shown: str, scene: Scene) -> None:
        control.hides(value, shown, self, scene)

    def assign(self, name: str, value: Value, shown: str, scene: Scene) -> None:
        assign.assigned(name, value, shown, scene, self)

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
        row, stopped = 0, list[Scene]()
        self._stops.append((scene.shell, stopped))
        for child in node.children:
            if child.type in _SKIPPED or child.type in {"else", "elif"}:
                continue
            if child.start_point.row > row and node.type == "program":
                stopped.clear()
            row = child.end_point.row
            background = child.next_sibling is not None and child.next_sibling.type == "&"
            outputs.append(self.statement(child, scene.copy() if background else scene))
            if background:
                scene.set("!", NAME)
            for way in stopped if node.type == "program" else ():
                scene.join(way)
        self._stops.pop()
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

    def pipe(
        self,
        stages: list[Node],
        scene: Scene,
        stdin: Text | None = None,
        last: Callable[[Node, Scene], Text] | None = None,
    ) -> Text:
        """Walk the stages of a pipeline, each in a shell of its own, each reading what the last one prints.

        `last` walks the last of them.
        """
        output = stdin
        for stage in stages:
            inside = scene.copy()
            if output is not None:
                inside.stdin = output
            output = (
                last(stage, inside) if last is not None and stage is stages[-1] else self.statement(stage, inside)
            )
            if stage.next_sibling is not None and stage.next_sibling.type == "|&":
                output = ANY
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
        """Walk a statement with redirections. Behind a list or a pipeline they belong to its last command."""
        if body is not None and body.type == "list":
            self.statement(body.children[0], scene)
            last = body.children[-1]
            self.after(body.children[1].type, lambda then: self._redirected(last, redirects, then, node), scene)
            return ANY
        if body is not None and body.type == "negated_command":
            self._redirected(body.named_children[-1], redirects, scene, node)
            scene.sure = scene.folders
            return ANY
        if body is not None and body.type == "pipeline":
            stages = [child for child in body.children if child.type not in {"|", "|&", "comment"}]
            return self.pipe(
                stages, scene, last=lambda stage, then: self._redirected(stage, redirects, then, node)
            )
        silent = body is None or _SILENT.fullmatch(text_of(body)) is not None
        stdin, extra = redirected(redirects, scene, node, self, silent=silent)
        if body is not None and any(dash_before(redirect) for redirect in redirects):
            extra = [lit("-"), *extra]
        output = ANY
        kept = scene.stream
        scene.stdin = stdin if stdin is not None else scene.stdin
        if stdin is None:
            scene.stream = kept
        if body is not None and body.type == "command":
            output = self._command(body, scene, extra)
        elif body is not None:
            output = self.statement(body, scene)
        scene.stream = kept
        if body is not None and re.match(r"\\?exec\b|(command|builtin)\s", text_of(body)) and stdin is not None:
            scene.stdin = ANY
        plain = body is not None and body.type == "command"
        output = seen_through(redirects, output, self, plain=plain)
        for each in redirects:
            output = self._behind_document(each, scene, output)
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

    # Commands.

    def _command(self, node: Node, scene: Scene, extra: list[Text] | None = None) -> Text:
        words: list[Text] = []
        assignments: list[Node] = []
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        end = -1
        for child in node.children:
            if child.type.endswith("_redirect") and child.start_byte == end and _is_number(child.prev_sibling):
                raise UnreadableError("has a redirection that cannot be read for certain")
            if child.type == "variable_assignment":
                assignments.append(child)
            elif child.type == "command_name":
                words += [word for part in child.children for word in words_of(part, scene, self)]
            elif is_word(child) or child.type in {"$", "==", "=~", "(", ")"}:
                if child.start_byte == end:
                    self._joined_words(node, child)
                words += self._words(child, scene)
            elif child.type not in {"comment", "file_redirect", "herestring_redirect", "heredoc_redirect"}:
                raise UnreadableError(f"holds {child.type}, which cannot be read for certain")
            end = child.end_byte
        words += extra or []
        shown = text_of(node)
        return self.command(words, assignments, redirects, scene, shown)

    def _words(self, node: Node, scene: Scene) -> list[Text]:
        """The words of a node, each of which may be none where patterns that match nothing are none."""
        if not is_word(node):
            return [lit("$")] if node.type == "$" else [ANY]
        words = words_of(node, scene, self)
        if scene.vanishing and (node.type != "string" or "@" in text_of(node)):
            return [Text(w.parts, many=True) if any(p.kind == "glob" for p in w.parts) else w for w in words]
        return words

    def _joined_words(self, node: Node, child: Node) -> None:
        """Two words that touch are one to the shell; only `$"…"` is known to look like that."""
        before = child.prev_sibling
        if not (before is not None and before.type == "$" and child.type == "string"):
            raise UnreadableError(f"has words that cannot be told apart: {text_of(node)[:40]}")

    def command(
        self, words: list[Text], assignments: list[Node], redirects: list[Node], scene: Scene, shown: str
    ) -> Text:
        """One simple command: its redirections, its assignments, then what it is."""
        stdin, kept = None, scene.stream
        if redirects:
            stdin, extra = redirected(
                redirects, scene, redirects[0].parent or redirects[0], self, silent=not words
            )
            words = words + extra
        if stdin is not None:
            scene.stdin = stdin
        try:
            if not words:
                for assignment in assignments:
                    assign.variable_assignment(assignment, scene, self)
                return _NOTHING
            for assignment in assignments:
                name, value = assign.assignment(assignment, scene, self)
                if not (name == "IFS" and words[0].literal == "read" and "read" not in self.functions):
                    assign.exported(name, value, shown, scene, self)
                    scene.set(name, ANY)  # in some shells also afterwards
            output = judge(Call(self, scene, words, shown))
            return seen_through(redirects, output, self, plain=True)
        finally:
            scene.stream = kept
            if stdin is not None and words and words[0].literal in {"exec", "command", "builtin"}:
                scene.stdin = ANY

    def _function_definition(self, node: Node, scene: Scene) -> Text:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None or body is None:
            raise UnreadableError("has a function that cannot be read for certain")
        redirected([c for c in node.children if c.type.endswith("_redirect")], scene, node, self, silent=False)
        called = text_of(name)
        if called in assign.DECLARES:
            raise UnreadableError(f"gives {called} another meaning")
        bodies = self.functions.setdefault(called, [])
        bodies += [body] if body not in bodies else []
        self.called.discard(called)
        scene.defined |= {called}
        return _NOTHING


def _is_number(node: Node | None) -> bool:
    return node is not None and text_of(node).isdecimal()


def _either(one: places.Folders, other: places.Folders) -> places.Folders:
    return None if one is None or other is None else one | other


_TELLS = re.compile(r"(echo|printf|:)(\s([^$`(;&|\n]|\$\w)*(>&2)?)?")


def _leaves(node: Node) -> bool:
    """Does the shell end here, whatever happens?"""
    *others, last = node.named_children if node.type == "compound_statement" and node.named_children else [node]
    if last.next_sibling is not None and last.next_sibling.type == "&" and last is not node:
        return False
    if not all(_TELLS.fullmatch(text_of(other)) for other in others):
        return False
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
