from pathlib import Path


def test_count():
    assert Path("/app/count.txt").read_text().strip() == "3"


def test_the_text_is_as_it_was():
    assert Path("/app/data/text.txt").read_text() == "one two three\n"
