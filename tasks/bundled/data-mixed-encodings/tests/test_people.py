import json
from pathlib import Path


def people():
    return {each["id"]: each for each in json.loads(Path("people.json").read_text(encoding="utf-8"))}


def row(number):
    each = people()[str(number)]
    return each["name"], each["city"], each["note"]


def test_all_lines_in_order():
    found = json.loads(Path("people.json").read_text(encoding="utf-8"))
    assert [each["id"] for each in found] == [str(number) for number in range(1, 17)]
    assert all(list(each) == ["id", "name", "city", "note"] for each in found)


def test_what_was_right_stays():
    assert row(1) == ("Ada", "London", "plain")
    assert row(2) == ("Zoë", "Köln", "fine as it is")
    assert row(5) == ("Łukasz", "Łódź", "fine as it is")
    assert row(8) == ("Ñandú", "Ávila", "Ã is a letter, too: Ã.")


def test_one_byte_a_letter():
    assert row(3) == ("Grüße", "Nürnberg", "one byte a letter")
    assert row(6) == ("Renée", "Liège", "“quoted” – and a dash, 5 €")
    assert row(11) == ("ÿves", "Orléans", "last letter ÿ")
    assert row(15) == ("Søren", "Århus", "±½")


def test_encoded_too_often():
    assert row(4) == ("José", "Málaga", "twice encoded")
    assert row(7) == ("François", "Besançon", "“twice“ – and a dash, 5 €")
    assert row(12) == ("Siân", "Bangor", "thrice encoded")


def test_normal_form_and_marks():
    assert row(9) == ("José", "Málaga", "letters with accents apart")
    assert row(10) == ("Bom", "Paris", "a mark in front")
    assert row(13) == ("Müller", "Bern", "space around")
    assert row(14) == ("Ａｄａ", "Tōkyō", "wide letters stay")
    assert row(16) == ("Zoë", "Köln", "nothing seen at the end")


def test_letters_are_written_as_they_are():
    text = Path("people.json").read_bytes().decode("utf-8")
    assert "\\u" not in text
    assert "Łódź" in text


def test_the_encodings():
    wanted = {str(number): "utf-8" for number in range(1, 17)}
    wanted.update({"3": "windows-1252", "6": "windows-1252", "11": "windows-1252", "15": "windows-1252"})
    wanted.update({"4": "twice", "7": "twice", "12": "twice"})
    assert json.loads(Path("encodings.json").read_text()) == wanted
