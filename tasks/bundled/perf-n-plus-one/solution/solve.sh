cat > shelf/overview.py <<'Y'
"""What stands on a shelf, who wrote it, and who has it."""

MOST = 50


def overview(database, shelf):
    """A line for each book."""
    books = database.books(shelf)
    authors = {}
    for numbers in _portions(number for book in books for number in book["authors"]):
        authors.update(database.authors(numbers))
    loans = _loans(database, books)
    lines = []
    for book in books:
        names = [authors[number]["name"] if number in authors else "?" for number in book["authors"]]
        open_loans = [loan for loan in loans.get(book["id"], []) if loan["back"] is None]
        state = f"lent to {open_loans[-1]['reader']}" if open_loans else "here"
        lines.append(f"{book['title']} by {' and '.join(names) or 'nobody'}: {state}")
    return lines


def busiest(database, shelves):
    """The title that was lent most often on the shelves; of several the first. None without a loan."""
    books = [book for shelf in dict.fromkeys(shelves) for book in database.books(shelf)]
    loans = _loans(database, books)
    best = max(books, key=lambda book: len(loans.get(book["id"], [])), default=None)
    return best["title"] if best is not None and loans.get(best["id"]) else None


def _loans(database, books):
    """The loans of books, by the book's number, the earliest first."""
    found = {}
    for numbers in _portions(book["id"] for book in books):
        for loan in database.loans_of(numbers):
            found.setdefault(loan["book"], []).append(loan)
    return found


def _portions(numbers):
    """Different numbers, as many at a time as may be asked for."""
    every = list(dict.fromkeys(numbers))
    return [every[start : start + MOST] for start in range(0, len(every), MOST)]
Y
