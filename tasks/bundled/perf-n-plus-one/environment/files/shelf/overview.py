"""What stands on a shelf, who wrote it, and who has it."""


def overview(database, shelf):
    """A line for each book."""
    lines = []
    for book in database.books(shelf):
        names = []
        for number in book["authors"]:
            author = database.author(number)
            names.append(author["name"] if author else "?")
        open_loans = [loan for loan in database.loans(book["id"]) if loan["back"] is None]
        state = f"lent to {open_loans[-1]['reader']}" if open_loans else "here"
        lines.append(f"{book['title']} by {' and '.join(names) or 'nobody'}: {state}")
    return lines


def busiest(database, shelves):
    """The title that was lent most often on the shelves; of several the first. None without a loan."""
    best, most = None, 0
    for shelf in shelves:
        for book in database.books(shelf):
            count = len(database.loans(book["id"]))
            if count > most:
                best, most = book["title"], count
    return best
