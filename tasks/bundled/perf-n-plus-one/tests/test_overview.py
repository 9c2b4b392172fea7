from pathlib import Path

from shelf.database import Database
from shelf.overview import busiest, overview


def book(number, shelf="a", authors=()):
    return {"id": number, "title": f"Book {number}", "shelf": shelf, "authors": list(authors)}


def loan(number, reader, back=None):
    return {"book": number, "reader": reader, "back": back}


def authors(count):
    return [{"id": number, "name": f"Author {number}"} for number in range(count)]


def small():
    books = [book(3, authors=[1, 0]), book(1, authors=[9]), book(2, "b", [1]), book(7)]
    loans = [loan(1, "ada"), loan(3, "bob", "2026-01-01"), loan(1, "cyd", "x"), loan(1, "dee"), loan(2, "eve", "x")]
    return Database(books, authors(3), loans)


def test_lines():
    assert overview(small(), "a") == [
        "Book 3 by Author 1 and Author 0: here",
        "Book 1 by ?: lent to dee",
        "Book 7 by nobody: here",
    ]
    assert overview(small(), "b") == ["Book 2 by Author 1: here"]
    assert overview(small(), "none") == []


def test_an_author_twice():
    database = Database([book(1, authors=[1, 1])], authors(2))
    assert overview(database, "a") == ["Book 1 by Author 1 and Author 1: here"]


def test_the_busiest():
    assert busiest(small(), ["b", "a"]) == "Book 1"
    assert busiest(small(), ["b"]) == "Book 2"
    assert busiest(small(), []) is None
    assert busiest(Database([book(1)]), ["a"]) is None
    even = [loan(1, "x"), loan(2, "x"), loan(3, "x", "y")]
    assert busiest(Database([book(3, "b"), book(2), book(1)], (), even), ["b", "a"]) == "Book 3"
    assert busiest(Database([book(3, "b"), book(2), book(1)], (), even), ["a", "b", "a"]) == "Book 2"


def test_queries_of_overview():
    books = [book(number, authors=[number % 60, (number + 1) % 60]) for number in range(120)]
    database = Database(books, authors(60), [loan(number, f"r{number}") for number in range(0, 120, 2)])
    lines = overview(database, "a")
    assert database.queries <= 1 + 2 + 3
    assert weight(lines) == 4387


def weight(lines):
    """A number that every letter of every line counts in."""
    return sum(place * ord(letter) for place, letter in enumerate("\n".join(lines), 1)) % 99991


def test_queries_at_the_edges():
    found = []
    for count in (0, 1, 50, 51, 100):
        database = Database([book(number, authors=[number]) for number in range(count)], authors(count))
        found.append(weight(overview(database, "a")))
        assert database.queries <= 1 + 2 * -(-count // 50)
    assert found == [0, 25088, 64158, 73959, 99748]


def test_queries_of_busiest():
    shelves = [f"s{number}" for number in range(30)]
    books = [book(number, shelves[number % 30]) for number in range(90)]
    database = Database(books, (), [loan(77, "a"), loan(77, "b", "c"), loan(5, "d")])
    assert busiest(database, [*shelves, "s0", "s1"]) == "Book 77"
    assert database.queries <= 30 + 2


def test_nothing_is_kept():
    one = Database([book(1, authors=[0])], authors(1))
    assert overview(one, "a") == ["Book 1 by Author 0: here"]
    two = Database([book(1, authors=[0])], [], [loan(1, "x")])
    assert overview(two, "a") == ["Book 1 by ?: lent to x"]


def test_the_database_stays():
    assert Path("shelf/database.py").read_text() == (Path(__file__).parent / "database.py.txt").read_text()
