from boltons.fileutils import AtomicSaver, atomic_save, iter_find_files


def weight(parts):
    """A number that every letter of every part counts in."""
    return sum(place * ord(letter) for place, letter in enumerate("/".join(parts), 1)) % 9973


def test_what_is_saved(tmp_path):
    target = tmp_path / "saved.txt"
    found = []
    for number in (3, 5, 8):
        with (AtomicSaver if number % 2 else atomic_save)(target, text_mode=True) as file:
            file.write("line\n" * number)
        found.append(weight([target.read_text(), *sorted(each.name for each in tmp_path.iterdir())]))
    assert found == [172, 7380, 4548]


def test_what_is_found(tmp_path):
    for number in range(40):
        folder = tmp_path / f"f{number % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"n{number * 7 % 23}.{'py' if number % 3 else 'txt'}").write_text("x")
    names = [sorted(each[len(str(tmp_path)) :] for each in iter_find_files(tmp_path, kind)) for kind in ("*.py", "*.txt", "n1*")]
    assert [weight(each) for each in names] == [2125, 4340, 6483]
    assert [len(each) for each in names] == [26, 14, 19]
