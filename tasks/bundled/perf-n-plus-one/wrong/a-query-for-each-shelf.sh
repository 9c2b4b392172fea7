sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("shelf/overview.py")
p.write_text(p.read_text().replace('''    books = [book for shelf in dict.fromkeys(shelves) for book in database.books(shelf)]
    loans = _loans(database, books)
''', '''    books, loans = [], {}
    for shelf in dict.fromkeys(shelves):
        some = database.books(shelf)
        books += some
        loans.update(_loans(database, some))
'''))
Y
