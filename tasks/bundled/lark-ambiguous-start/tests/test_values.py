import pytest

from lark import Lark

GRAMMAR = """
!start: a | b | A
!a: A
!b: A A
A: "x"
"""


def said(tree):
    return [tree.data, *(each if isinstance(each, str) else said(each) for each in tree.children)]


@pytest.mark.parametrize("lexer", ["basic", "dynamic", "dynamic_complete"])
def test_one_derivation_of_the_start(lexer):
    parser = Lark(GRAMMAR, parser="earley", lexer=lexer)
    assert [said(parser.parse("x")), said(parser.parse("xx"))] == [["start", "x"], ["start", ["b", "x", "x"]]]
