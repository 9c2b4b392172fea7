"""What a failing test saw, as data: the expression, what came out, what was expected.

One file, under a name that no project has, since what is imported here stands in the way of the project's own
modules. Read by the sandbox's Python, which may be an old one. The project's own code has run in this process by
then, and what is told here is only as true as it lets it be.
"""

import ast
import copy
import os
import types
from typing import Any, Dict, List, Set

LONG = 300
SHORT = 80
STEPS = 10
COMPARE = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
KNOWN = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType)
UNITTEST = {
    "assertEqual": "==", "assertEquals": "==", "assertListEqual": "==", "assertDictEqual": "==",
    "assertTupleEqual": "==", "assertSetEqual": "==", "assertSequenceEqual": "==", "assertMultiLineEqual": "==",
    "assertAlmostEqual": "==", "assertNotEqual": "!=", "assertIs": "is", "assertIsNot": "is not",
    "assertIn": "in", "assertNotIn": "not in", "assertLess": "<", "assertLessEqual": "<=", "assertGreater": ">",
    "assertGreaterEqual": ">=",
}  # fmt: skip
PAIRS = (("first", "second"), ("list1", "list2"), ("d1", "d2"), ("tuple1", "tuple2"), ("set1", "set2"),
         ("seq1", "seq2"), ("expr1", "expr2"), ("member", "container"), ("a", "b"))  # fmt: skip


class Teller:
    """Tells of failures in test files below `tests`; `workspace` holds the code under test."""

    def __init__(self, workspace: Any, tests: Any) -> None:
        self.workspace = [os.path.realpath(each) + os.sep for each in workspace]
        self.tests = os.path.realpath(tests) + os.sep
        self.compared = None
        self._trees: Dict[str, Any] = {}

    def tell(self, error: Any, traceback: Any) -> Any:
        """The observation of one failure, JSON-ready; None where nothing sensible can be said."""
        frames = list(_frames(traceback))
        places = [n for n, (frame, _, _) in enumerate(frames) if self._is_test(frame.f_code.co_filename)]
        if not places:
            return None
        frame, line, position = frames[places[-1]]
        deeper = [each[0] for each in frames[places[-1] + 1 :]]
        function, statement = self._statement(frame, line)
        if statement is None:
            return None
        view = View(self, frame, function, statement)
        return self._observe(view, error, deeper, position)

    def _observe(self, view: Any, error: Any, deeper: Any, position: Any) -> Any:
        name, text = type(error).__name__, str(error)
        inside = [each for each in deeper if "unittest" in each.f_code.co_filename]
        if isinstance(error, AssertionError) and not deeper and isinstance(view.statement, ast.Assert):
            return self._plain_assert(view)
        if isinstance(error, AssertionError) and inside and inside[0] is deeper[0]:
            return self._unittest(view, inside[0], text)
        if name == "Failed" and text.startswith("DID NOT RAISE"):
            return self._not_raised(view)
        if isinstance(error, AssertionError) and not any(self._is_product(f.f_code.co_filename) for f in deeper):
            return None
        return self._error(view, name, text, position, deeper)

    def _plain_assert(self, view: Any) -> Any:
        test, wanted = view.statement.test, True
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, wanted = test.operand, not wanted
        if isinstance(test, ast.BoolOp) and self.compared:
            fitting = [each for each in test.values if _operator(each) == self.compared[0]]
            test = fitting[0] if len(fitting) == 1 else test
        operator = _operator(test)
        if operator and wanted and self.compared and self.compared[0] == operator:
            return view.comparison(operator, test.left, test.comparators[0], *self.compared[1:])
        return view.truth(test, wanted)

    def _unittest(self, view: Any, frame: Any, text: str) -> Any:
        called, known = frame.f_code.co_name, frame.f_locals
        call: Any = next((n for n in ast.walk(view.statement) if _called(n) == called), None)
        if called in UNITTEST and call is not None and len(call.args) >= 2:
            pair = next((pair for pair in PAIRS if pair[0] in known and pair[1] in known), None)
            if pair:
                left, right = known[pair[0]], known[pair[1]]
                return view.comparison(UNITTEST[called], call.args[0], call.args[1], left, right)
        if called in ("assertTrue", "assertFalse") and call is not None and call.args:
            return view.truth(call.args[0], called == "assertTrue")
        if called == "assertIsNone" and call is not None and call.args and "obj" in known:
            return view.comparison("is", call.args[0], ast.Constant(value=None), known["obj"], None)
        if "not raised" in text:
            return self._not_raised(view)
        return None

    def _not_raised(self, view: Any) -> Any:
        statement = view.statement
        if isinstance(statement, ast.With):
            call: Any = next((i.context_expr for i in statement.items if _raising(i.context_expr)), None)
            if call is None or not call.args:
                return None
            return view.raising(statement.body, call.args[0])
        call = next((n for n in ast.walk(statement) if isinstance(n, ast.Call) and _raising(n)), None)
        if call is None or len(call.args) < 2:
            return None
        made = ast.Call(func=call.args[1], args=call.args[2:], keywords=call.keywords)
        return view.raising([ast.copy_location(ast.Expr(value=made), statement)], call.args[0])

    def _error(self, view: Any, name: str, text: str, position: Any, deeper: Any) -> Any:
        statement, expected = view.statement, None
        node = _at(statement, position) or statement
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare):
            test = statement.test
            inside_left = any(node is each for each in ast.walk(test.left))
            if _operator(test) == "==" and len(test.comparators) == 1:
                node, expected = (
                    (test.left, test.comparators[0]) if inside_left else (test.comparators[0], test.left)
                )
        elif not isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.Assert)):
            node = node if isinstance(node, ast.expr) else None
        elif isinstance(statement, ast.Assign):
            node = statement.value if node is statement else node
            expected = view.later(statement) if node is statement.value else None
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = statement.value
            if _called(call) in UNITTEST and len(call.args) >= 2:
                node, expected = call.args[0], call.args[1]
        return None if node is None else view.failing(node, name, text, expected)

    def _statement(self, frame: Any, line: int) -> Any:
        """The function around a line of a test file and the innermost statement there."""
        path = frame.f_code.co_filename
        if path not in self._trees:
            try:
                with open(path, "rb") as file:
                    self._trees[path] = ast.parse(file.read())
            except (OSError, SyntaxError, ValueError):
                self._trees[path] = None
        tree = self._trees[path]
        function = statement = None
        nodes: Any = ast.walk(tree) if tree else ()
        for node in nodes:
            if not (hasattr(node, "lineno") and node.lineno <= line <= (node.end_lineno or node.lineno)):
                continue
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if function is None or node.lineno >= function.lineno:
                    function = node
            elif isinstance(node, ast.stmt) and (statement is None or _smaller(node, statement)):
                statement = node
        return function, statement

    def _is_test(self, path: str) -> bool:
        return os.path.realpath(path).startswith(self.tests)

    def _is_product(self, path: str) -> bool:
        path = os.path.realpath(path)
        return any(path.startswith(each) for each in self.workspace) and not self._is_test(path)

    def names_of(self, value: Any) -> str:
        """What code under test a value is: `module.name` of a function or class, or nothing."""
        module = getattr(value, "__module__", None)
        name = getattr(value, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or "<locals>" in name:
            return ""
        code = getattr(value, "__code__", None) or getattr(getattr(value, "__wrapped__", None), "__code__", None)
        path = code.co_filename if code is not None else self._module_file(module)
        return module + "." + name if path and self._is_product(path) else ""

    def is_of_tests(self, value: Any) -> bool:
        """Whether a value is a function, a class or a module of the tests, or an object of such a class."""
        kind = value if hasattr(value, "__name__") else type(value)
        module = value.__name__ if isinstance(value, types.ModuleType) else getattr(kind, "__module__", None)
        path = self._module_file(module) if isinstance(module, str) else None
        code = getattr(value, "__code__", None)
        return any(each and self._is_test(each) for each in (path, code and code.co_filename))

    @staticmethod
    def _module_file(module: str) -> Any:
        import sys

        return getattr(sys.modules.get(module), "__file__", None)


class View:
    """A failing statement, with the values around it."""

    def __init__(self, teller: Any, frame: Any, function: Any, statement: Any) -> None:
        self.teller, self.function, self.statement = teller, function, statement
        self.local = dict(frame.f_locals) if function is not None else {}
        self.globals = frame.f_globals
        self.own = _arguments(function) if function is not None else []

    def comparison(self, operator: Any, left: Any, right: Any, left_value: Any, right_value: Any) -> Any:
        """What `left operator right` was."""
        one, two = self._side(left), self._side(right)
        said = {"kind": "compare", "operator": operator, **self._values(left_value, right_value)}
        return self._with(said, one, two)

    def truth(self, test: Any, wanted: bool) -> Any:
        """A condition that was not as it should be."""
        return self._with({"kind": "truth", "wanted": wanted}, self._side(test), None)

    def raising(self, body: Any, expected: Any) -> Any:
        """Statements that should have raised something."""
        if len(body) == 1 and isinstance(body[0], ast.Expr):
            return self._with(
                {"kind": "not_raised", "error": ast.unparse(expected)}, self._side(body[0].value), None
            )
        side = self._slice_of([*body[:-1]], body[-1])
        return self._with({"kind": "not_raised", "error": ast.unparse(expected)}, side, None)

    def failing(self, node: Any, name: str, text: str, expected: Any) -> Any:
        """An expression, or a statement, that ended in an exception."""
        said = {"kind": "error", "error": name, "message": _plain_text(text), "raising": self._raising_around()}
        return self._with(said, self._side(node), self._side(expected) if expected is not None else None)

    def later(self, assignment: Any) -> Any:
        """What the test would have gone on to compare the assigned variable with."""
        target = assignment.targets[0]
        for node in self._nodes():
            if getattr(node, "lineno", 0) <= assignment.lineno or not isinstance(target, ast.Name):
                continue
            sides = []
            if isinstance(node, ast.Compare) and _operator(node) == "==":
                sides = [node.left, node.comparators[0]]
            elif UNITTEST.get(_called(node)) == "==" and len(node.args) >= 2:
                sides = node.args[:2]
            for one, other in (sides, sides[::-1]) if sides else ():
                if isinstance(one, ast.Name) and one.id == target.id:
                    return other
        return None

    def _raising_around(self) -> str:
        """What a `with pytest.raises(...)` around the statement waits for."""
        for node in self._nodes():
            if isinstance(node, ast.With) and any(each is self.statement for each in ast.walk(node)):
                for each in node.items:
                    context: Any = each.context_expr
                    if _raising(context) and context.args:
                        return ast.unparse(context.args[0])
        return ""

    def _with(self, said: Any, one: Any, two: Any) -> Any:
        steps = list(one["steps"])
        steps += [each for each in (two["steps"] if two else []) if each not in steps]
        strong = one["strong"] and (two is None or two["strong"] or not two["names"]) and len(steps) <= STEPS
        said.update(
            expression=one["text"],
            plain=one["plain"],
            other=two["text"] if two else "",
            other_plain=two["plain"] if two else False,
            steps=steps,
            functions=sorted({*one["names"], *(two["names"] if two else [])}),
            strong=strong,
        )
        return said

    def _values(self, left: Any, right: Any) -> Any:
        return {"left": _show(left), "right": _show(right), "where": _difference(left, right)}

    def _side(self, node: Any) -> Any:
        """An expression as one would type it, with what has to be typed before it."""
        return self._slice_of([], node)

    def _slice_of(self, before: Any, node: Any) -> Any:
        names: Set[str] = set()
        weak: List[str] = []
        shown = self._typed(node, names, weak)
        needed = {each.id for each in ast.walk(shown) if isinstance(each, ast.Name) and each.id in self.local}
        chosen = list(before)
        for each in before:
            needed |= self._needs(each)
        for statement in reversed(self._earlier()):
            sets, touches = _sets(statement), self._needs(statement)
            mutates = isinstance(statement, (ast.Expr, ast.AugAssign)) and touches & needed
            if sets & needed or mutates:
                chosen.insert(0, statement)
                needed |= touches
        produced = set().union(*map(_sets, chosen)) if chosen else set()
        steps = []
        for each in chosen:
            typed = self._typed(each, names, weak)
            steps.append(ast.unparse(typed))
            if not isinstance(each, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Delete)):
                weak.append("a block")
        for name in sorted(needed - produced):
            if name in self.local:
                weak.append(name)
        text = ast.unparse(shown)
        if len(steps) == 1 and isinstance(chosen[0], ast.Assign) and isinstance(shown, ast.expr):
            text, steps = self._inlined(shown, chosen[0], names, text, steps)
        plain = _is_plain(shown) and not steps
        return {"text": text, "steps": steps, "names": names, "strong": not weak, "plain": plain}

    def _inlined(self, shown: Any, assignment: Any, names: Any, text: str, steps: Any) -> Any:
        target = assignment.targets[0]
        uses = [
            each for each in ast.walk(shown) if isinstance(each, ast.Name) and each.id == getattr(target, "id", 0)
        ]
        if len(assignment.targets) != 1 or len(uses) != 1:
            return text, steps
        value = self._typed(assignment.value, names, [])
        whole = ast.unparse(_Put({target.id: value}).visit(copy.deepcopy(shown)))
        return (whole, []) if len(whole) <= 100 else (text, steps)

    def _needs(self, node: Any) -> Set[str]:
        return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and each.id in self.local}

    def _earlier(self) -> Any:
        """The statements that ran before the failing one, on the way to it, outermost first."""
        found = []

        def search(body: Any) -> Any:
            for statement in body:
                if statement is self.statement:
                    return True
                if any(each is self.statement for each in ast.walk(statement)):
                    for label in ("body", "orelse", "finalbody"):
                        inner = getattr(statement, label, [])
                        if any(each is self.statement for part in inner for each in ast.walk(part)):
                            return search(inner)
                    return True
                found.append(statement)
            return False

        if self.function is not None:
            search(self.function.body)
        return [each for each in found if not isinstance(each, (ast.Import, ast.ImportFrom, ast.Assert))]

    def _typed(self, node: Any, names: Any, weak: Any) -> Any:
        """A copy of the node with arguments of the test and short constants in place of their names."""
        return _Typed(self, names, weak).visit(copy.deepcopy(node))

    def _nodes(self) -> Any:
        return ast.walk(self.function) if self.function is not None else ()

    def loop_variables(self) -> Set[str]:
        """Names that a loop, a with or an except around the statement sets: their value is the present one."""
        found = set()
        for node in self._nodes():
            if isinstance(node, (ast.For, ast.AsyncFor)) and any(
                each is self.statement for each in ast.walk(node)
            ):
                found |= {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
        return found


class _Typed(ast.NodeTransformer):
    def __init__(self, view: Any, names: Any, weak: Any) -> None:
        self.view, self.names, self.weak = view, names, weak
        self.values = {*view.own, *view.loop_variables()} - {"self"}

    def visit_Attribute(self, node: Any) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and "self" in self.view.local:
            try:
                value = getattr(self.view.local["self"], node.attr)
            except Exception:
                value = None
            return self._constant(node, value)
        owner = self._look(node.value)
        if owner is not None and not isinstance(owner, types.ModuleType):
            kind = owner if isinstance(owner, type) else type(owner)
            if self.view.teller.names_of(kind) and callable(getattr(kind, node.attr, None)):
                self.names.add(self.view.teller.names_of(kind) + "." + node.attr)
        elif owner is not None and self.view.teller.names_of(getattr(owner, node.attr, None)):
            self.names.add(self.view.teller.names_of(getattr(owner, node.attr)))
        self.generic_visit(node)
        return node

    def visit_Name(self, node: Any) -> Any:
        if not isinstance(node.ctx, ast.Load):
            return node
        if node.id in self.view.local:
            if node.id in self.values:
                return self._constant(node, self.view.local[node.id])
            if node.id == "self":
                self.weak.append("self")
            return node
        if node.id not in self.view.globals:
            return node
        value = self.view.globals[node.id]
        name = self.view.teller.names_of(value)
        if name:
            self.names.add(name)
        elif _plain(value) and len(repr(value)) <= SHORT:
            return self._constant(node, value)
        elif self.view.teller.is_of_tests(value) or not isinstance(value, KNOWN):
            self.weak.append(node.id)
        return node

    def visit_Lambda(self, node: Any) -> Any:
        return node

    def visit_ListComp(self, node: Any) -> Any:
        return node

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _constant(self, node: Any, value: Any) -> Any:
        text = repr(value) if _plain(value) else ""
        if text and len(text) <= 2 * SHORT:
            return ast.copy_location(ast.parse(text, mode="eval").body, node)
        name = self.view.teller.names_of(value)
        if name:
            self.names.add(name)
            return ast.copy_location(ast.Name(id=value.__qualname__, ctx=ast.Load()), node)
        module = getattr(value, "__module__", None)
        if module == "builtins" and getattr(value, "__qualname__", "").isidentifier():
            return ast.copy_location(ast.Name(id=value.__qualname__, ctx=ast.Load()), node)
        self.weak.append(ast.unparse(node))
        return node

    def _look(self, node: Any) -> Any:
        if isinstance(node, ast.Name):
            return self.view.local.get(node.id, self.view.globals.get(node.id))
        return None


class _Put(ast.NodeTransformer):
    def __init__(self, values: Any) -> None:
        self.values = values

    def visit_Name(self, node: Any) -> Any:
        return self.values.get(node.id, node)


def _frames(traceback: Any) -> Any:
    """Each frame with its line and, where Python says so, the place of what it was doing."""
    while traceback is not None:
        position = None
        code = traceback.tb_frame.f_code
        if hasattr(code, "co_positions") and traceback.tb_lasti >= 0:
            position = next((p for n, p in enumerate(code.co_positions()) if n == traceback.tb_lasti // 2), None)
        yield traceback.tb_frame, traceback.tb_lineno, position
        traceback = traceback.tb_next


def _at(statement: Any, position: Any) -> Any:
    if position is None or None in position:
        return None
    for node in ast.walk(statement):
        if isinstance(node, ast.expr):
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if place == tuple(position):
                return node
    return None


def _smaller(one: Any, other: Any) -> bool:
    spans = [(node.end_lineno or node.lineno) - node.lineno for node in (one, other)]
    return bool(spans[0] <= spans[1])


def _operator(node: Any) -> Any:
    return COMPARE.get(type(node.ops[0])) if isinstance(node, ast.Compare) and len(node.ops) == 1 else None


def _called(node: Any) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _raising(node: Any) -> bool:
    return _called(node) in ("raises", "assertRaises", "assertRaisesRegex")


def _arguments(function: Any) -> Any:
    own = function.args
    return [each.arg for each in (*getattr(own, "posonlyargs", []), *own.args, *own.kwonlyargs)]


def _sets(statement: Any) -> Set[str]:
    return {
        each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _is_plain(node: Any) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _plain(value: Any, depth: int = 4) -> bool:
    kind = type(value)
    if kind in (int, bool, str, bytes, type(None)):
        return True
    if kind is float:
        return bool(value == value and abs(value) != float("inf"))
    if depth and kind in (list, tuple):
        return len(value) <= 50 and all(_plain(each, depth - 1) for each in value)
    if depth and kind in (set, frozenset):
        return 0 < len(value) <= 50 and kind is set and all(_plain(each, depth - 1) for each in value)
    if depth and kind is dict:
        return len(value) <= 50 and all(_plain(k, depth - 1) and _plain(v, depth - 1) for k, v in value.items())
    return False


def _show(value: Any) -> str:
    """A value as text that is the same in every run; empty where there is none."""
    try:
        if type(value) in (set, frozenset):
            value = sorted(value, key=repr)
            text = "{" + ", ".join(map(repr, value)) + "}" if value else "set()"
        else:
            text = repr(value)
    except Exception:
        return ""
    return "" if " at 0x" in text or "/tmp/" in text or len(text) > 20 * LONG else text


def _plain_text(text: str) -> str:
    text = text.strip().splitlines()[0] if text.strip() else ""
    return "" if " at 0x" in text or "/tmp/" in text else text[:LONG]


def _difference(left: Any, right: Any) -> Any:
    """Where two long values differ first: the place and both parts; None where that says nothing."""
    if type(left) is not type(right) or not isinstance(left, (str, bytes, list, tuple)):
        return None
    place = next((n for n, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    if isinstance(left, (str, bytes)):
        start = max(0, place - 20)
        return [place, repr(left[start : place + 40]), repr(right[start : place + 40]), len(left), len(right)]
    one, two = (_show(each[place]) if place < len(each) else "nothing" for each in (left, right))
    return [place, one[:SHORT], two[:SHORT], len(left), len(right)]
