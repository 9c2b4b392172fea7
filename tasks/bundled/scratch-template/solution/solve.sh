cat > template.py <<'Y'
"""A small template language: `render(template, data)`."""

import re

WORDS = {"true", "false", "null", "and", "or", "not", "in", "if", "elif", "else", "for", "end", "set"}
VALUES = {"true": True, "false": False, "null": None}
TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d+)?)(?![A-Za-z0-9_])|(?P<name>[^\W\d]\w*)|(?P<sign>==|!=|<=|>=|[-<>+*/|.\[\]()=,]))"""
)


class TemplateError(ValueError):
    """What is wrong, and on which line."""


class _Missing(Exception):
    """A variable, a member or an item that is not there."""


class _Problem(Exception):
    """Anything else that cannot be done."""


def render(template, data):
    nodes = _Parser(_split(template)).template()
    out = []
    _write(nodes, dict(data), out)
    return "".join(out)


# ---- splitting


def _split(template):
    """Pieces: ("text", text, line), ("show" or "block", inside, line)."""
    pieces, place, start = [], 0, 0
    while True:
        opening = re.compile(r"\{[{%#]").search(template, place)
        if opening is None:
            pieces.append(("text", template[start:], 0))
            return pieces
        place = opening.start()
        pieces.append(("text", template[start:place], 0))
        line = template.count("\n", 0, place) + 1
        if opening[0] == "{#":
            end = template.find("#}", place + 2)
            if end < 0:
                raise TemplateError(f"line {line}: a note is not closed")
            place = start = end + 2
            continue
        closing = "}}" if opening[0] == "{{" else "%}"
        inside = re.compile(r"""(?:"[^"]*"|'[^']*'|(?!%s)[^"'])*""" % re.escape(closing)).match(template, place + 2)
        end = inside.end()
        if not template.startswith(closing, end):
            raise TemplateError(f"line {line}: the tag is not closed")
        pieces.append(("show" if closing == "}}" else "block", inside[0], line))
        place = start = end + 2


def _tokens(text, line):
    found, place, text = [], 0, text.rstrip()
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            raise TemplateError(f"line {line}: cannot read {text[place:].strip()[:20]!r}")
        found.append((token.lastgroup, token[token.lastgroup]))
        place = token.end()
    return found


# ---- parsing


class _Parser:
    def __init__(self, pieces):
        self.pieces, self.at = pieces, 0

    def template(self):
        nodes, ending = self.nodes()
        if ending is not None:
            raise TemplateError(f"line {ending[1]}: {ending[0]} belongs to nothing")
        return nodes

    def nodes(self):
        """Nodes up to an `end`, `elif`, `else` or the end of all: (nodes, (word, line, expression) or None)."""
        nodes = []
        while self.at < len(self.pieces):
            kind, text, line = self.pieces[self.at]
            self.at += 1
            if kind == "text":
                nodes.append(("text", text))
                continue
            tag = _Expression(_tokens(text, line), line)
            if kind == "show":
                nodes.append(("show", tag.whole(), line))
                continue
            word = tag.word()
            if word in ("end", "else"):
                tag.done()
                return nodes, (word, line, None)
            if word == "elif":
                return nodes, (word, line, tag.whole())
            if word == "set":
                name = tag.variable()
                tag.sign("=")
                nodes.append(("set", name, tag.whole(), line))
            elif word == "if":
                nodes.append(self.branches(tag.whole(), line))
            elif word == "for":
                name = tag.variable()
                if tag.word() != "in":
                    tag.wrong()
                nodes.append(self.loop(name, tag.whole(), line))
            else:
                tag.wrong()
        return nodes, None

    def branches(self, condition, line):
        branches, begin, started, otherwise = [], line, line, None
        while True:
            nodes, ending = self.nodes()
            if ending is None:
                raise TemplateError(f"line {begin}: the if is not ended")
            if condition is None:
                otherwise = nodes
            else:
                branches.append((condition, nodes, started))
            word, started, said = ending
            if word == "end":
                return ("if", branches, otherwise or [])
            if condition is None:
                raise TemplateError(f"line {started}: {word} after else")
            condition = said

    def loop(self, name, expression, line):
        nodes, ending = self.nodes()
        otherwise = []
        if ending is not None and ending[0] == "else":
            otherwise, ending = self.nodes()
            if ending is not None and ending[0] == "else":
                raise TemplateError(f"line {ending[1]}: else after else")
        if ending is None:
            raise TemplateError(f"line {line}: the for is not ended")
        if ending[0] == "elif":
            raise TemplateError(f"line {ending[1]}: elif belongs to nothing")
        return ("for", name, expression, nodes, otherwise, line)


class _Expression:
    """Reads the tokens of one tag. An expression becomes a function of the variables."""

    LEVELS = (("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/"))

    def __init__(self, tokens, line):
        self.tokens, self.line, self.at = tokens, line, 0

    def wrong(self):
        raise TemplateError(f"line {self.line}: the tag does not fit the grammar")

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, None)

    def take(self):
        token = self.peek()
        self.at += 1
        return token

    def done(self):
        if self.at < len(self.tokens):
            self.wrong()

    def sign(self, wanted):
        if self.take() != ("sign", wanted):
            self.wrong()

    def word(self):
        kind, text = self.take()
        if kind != "name":
            self.wrong()
        return text

    def variable(self):
        name = self.word()
        if name in WORDS:
            self.wrong()
        return name

    def whole(self):
        found = self.either()
        self.done()
        return found

    def accept(self, *wanted):
        kind, text = self.peek()
        if kind in ("sign", "name") and text in wanted:
            self.at += 1
            return text
        return None

    def either(self):
        left = self.both()
        while self.accept("or"):
            left = (lambda a, b: lambda v: (lambda x: x if x else b(v))(a(v)))(left, self.both())
        return left

    def both(self):
        left = self.negated()
        while self.accept("and"):
            left = (lambda a, b: lambda v: (lambda x: b(v) if x else x)(a(v)))(left, self.negated())
        return left

    def negated(self):
        if self.accept("not"):
            inner = self.negated()
            return lambda v: not inner(v)
        return self.level(0)

    def level(self, number):
        if number == len(self.LEVELS):
            return self.tail()
        left = self.level(number + 1)
        while operator := self.accept(*self.LEVELS[number]):
            left = _binary(operator, left, self.level(number + 1))
            if number == 0:
                break
        return left

    def tail(self):
        left = self.atom()
        while True:
            if self.accept("."):
                left = _member(left, self.member())
            elif self.accept("["):
                place = self.either()
                self.sign("]")
                left = _item(left, place)
            elif self.accept("|"):
                left = self.filtered(left)
            else:
                return left

    def member(self):
        return self.word()

    def filtered(self, left):
        name, arguments = self.word(), []
        if self.accept("("):
            arguments.append(self.either())
            self.sign(")")
        if name == "default" and len(arguments) == 1:
            return _default(left, arguments[0])
        if (name, len(arguments)) not in FILTERS:
            self.wrong()
        function = FILTERS[name, len(arguments)]
        return lambda v: function(left(v), *[each(v) for each in arguments])

    def atom(self):
        kind, text = self.take()
        if kind == "text":
            return lambda v: text[1:-1]
        if kind == "number":
            number = float(text) if "." in text else int(text)
            return lambda v: number
        if kind == "name" and text in VALUES:
            return lambda v: VALUES[text]
        if kind == "name" and text not in WORDS:
            return _variable(text)
        if (kind, text) == ("sign", "("):
            inner = self.either()
            self.sign(")")
            return inner
        return self.wrong()


# ---- values


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(one, two):
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_equal, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    return one == two


def _contains(one, two):
    if isinstance(two, list):
        return any(_equal(one, each) for each in two)
    if isinstance(one, str) and isinstance(two, (str, dict)):
        return one in two
    raise _Problem("`in` asks a list, an object or a text")


def _apply(sign, one, two):
    numbers = _number(one) and _number(two)
    texts = isinstance(one, str) and isinstance(two, str)
    if sign == "==":
        return _equal(one, two)
    if sign == "!=":
        return not _equal(one, two)
    if sign == "in":
        return _contains(one, two)
    if sign in ("<", "<=", ">", ">=") and (numbers or texts):
        return {"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}[sign]
    if sign == "+" and (numbers or texts or (isinstance(one, list) and isinstance(two, list))):
        return one + two
    if sign == "-" and numbers:
        return one - two
    if sign == "*" and numbers:
        return one * two
    if sign == "/" and numbers and two:
        return one // two if isinstance(one, int) and isinstance(two, int) and one % two == 0 else one / two
    raise _Problem(f"{sign} cannot be done with these values")


def _binary(sign, left, right):
    return lambda v: _apply(sign, left(v), right(v))


def _variable(name):
    def look(v):
        if name not in v:
            raise _Missing(f"there is no {name}")
        return v[name]

    return look


def _get(value, key):
    if isinstance(value, dict) and isinstance(key, str):
        if key not in value:
            raise _Missing(f"there is no {key}")
        return value[key]
    if isinstance(value, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        if not -len(value) <= key < len(value):
            raise _Missing(f"there is no item {key}")
        return value[key]
    raise _Problem("this value has no such member or item")


def _member(left, name):
    def look(v):
        value = left(v)
        if not isinstance(value, dict):
            raise _Problem("only objects have members")
        return _get(value, name)

    return look


def _item(left, place):
    return lambda v: _get(left(v), place(v))


def _default(left, other):
    def look(v):
        try:
            value = left(v)
        except _Missing:
            value = None
        return other(v) if value is None else value

    return look


def _shown(value):
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise _Problem("lists and objects cannot be written")


def _of(kinds, function):
    def checked(value, *arguments):
        if not isinstance(value, kinds):
            raise _Problem("the filter is for other values")
        return function(value, *arguments)

    return checked


def _join(value, between=""):
    if not isinstance(between, str):
        raise _Problem("join takes a text")
    return between.join(map(_shown, value))


FILTERS = {
    ("upper", 0): _of(str, str.upper),
    ("lower", 0): _of(str, str.lower),
    ("trim", 0): _of(str, str.strip),
    ("length", 0): _of((str, list, dict), len),
    ("join", 0): _of(list, _join),
    ("join", 1): _of(list, _join),
}


# ---- writing


def _evaluate(expression, variables, line):
    try:
        return expression(variables)
    except (_Missing, _Problem) as error:
        raise TemplateError(f"line {line}: {error}") from None


def _write(nodes, variables, out):
    for node in nodes:
        if node[0] == "text":
            out.append(node[1])
        elif node[0] == "show":
            out.append(_evaluate(lambda v: _shown(node[1](v)), variables, node[2]))
        elif node[0] == "set":
            variables[node[1]] = _evaluate(node[2], variables, node[3])
        elif node[0] == "if":
            chosen = next((some for test, some, line in node[1] if _evaluate(test, variables, line)), node[2])
            _write(chosen, variables, out)
        else:
            _loop(node, variables, out)


def _loop(node, variables, out):
    _, name, expression, nodes, otherwise, line = node
    values = _evaluate(expression, variables, line)
    if not isinstance(values, (list, dict)):
        raise TemplateError(f"line {line}: for runs over lists and objects")
    items = list(values)
    for place, item in enumerate(items):
        loop = {"index": place + 1, "first": place == 0, "last": place == len(items) - 1}
        _write(nodes, {**variables, name: item, "loop": loop}, out)
    if not items:
        _write(otherwise, variables, out)
Y
