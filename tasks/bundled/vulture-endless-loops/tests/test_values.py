import textwrap

import vulture


def unreachable(text):
    found = vulture.Vulture()
    found.scan(textwrap.dedent(text))
    return [f"{each.first_lineno} {each.message}" for each in sorted(found.unreachable_code, key=lambda each: each.first_lineno)]


LOOP = """
def one():
    while True:
        if condition:
            break
        for item in items:
            process(item)
    return "reachable"

def two():
    while True:
        for item in items:
            if item:
                break
    return "not reachable"

def three():
    while True:
        for item in items:
            process(item)
        try:
            break
        finally:
            close()
    return "reachable"

def four():
    while True:
        def inner():
            for item in items:
                break
    return "not reachable"
"""


def test_what_can_be_reached():
    assert unreachable(LOOP) == ["15 unreachable code after 'while'", "32 unreachable code after 'while'"]
