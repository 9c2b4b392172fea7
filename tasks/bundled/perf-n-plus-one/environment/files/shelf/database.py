"""A database behind a slow wire. `queries` counts how often it was asked."""


class Database:
    def __init__(self, books=(), authors=(), loans=()):
        self._books = {book["id"]: book for book in books}
        self._authors = {author["id"]: author for author in authors}
        self._loans = list(loans)
        self.queries = 0

    def books(self, shelf):
        """The books of a shelf, in their order."""
        self.queries += 1
        return [dict(book) for book in self._books.values() if book["shelf"] == shelf]

    def author(self, number):
        """An author, or None."""
        self.queries += 1
        return dict(self._authors[number]) if number in self._authors else None

    def authors(self, numbers):
        """Those of the authors that there are, by number. At most 50 numbers at a time."""
        if len(numbers) > 50:
            raise ValueError("at most 50 numbers")
        self.queries += 1
        return {number: dict(self._authors[number]) for number in numbers if number in self._authors}

    def loans(self, book):
        """The loans of a book, the earliest first."""
        self.queries += 1
        return [dict(loan) for loan in self._loans if loan["book"] == book]

    def loans_of(self, books):
        """The loans of books, the earliest first, in no other order. At most 50 books at a time."""
        if len(books) > 50:
            raise ValueError("at most 50 books")
        self.queries += 1
        return [dict(loan) for loan in self._loans if loan["book"] in books]
