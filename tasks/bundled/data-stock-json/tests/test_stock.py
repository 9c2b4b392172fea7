from pathlib import Path


def lines():
    return Path("stock.csv").read_bytes().decode().split("\n")


def test_the_head_and_the_order():
    assert [line.rsplit(",", 3)[0] if number else line for number, line in enumerate(lines())] == [
        "sku,warehouse,quantity,cents", "A-1", "B-2", "C-3", "C-3", "E-5", '"G,7"', "",
    ]


def test_every_line():
    assert lines() == [
        "sku,warehouse,quantity,cents",
        "A-1,North,7,250",
        "B-2,East,7,105",
        "C-3,Isles,10,299",
        "C-3,North,2,300",
        "E-5,East,1,",
        '"G,7",Isles,1,10',
        "",
    ]


def test_the_value():
    assert Path("value.txt").read_text().strip() == "6085"


def test_what_was_sent_stays():
    assert Path("stock.json").read_text().startswith('{\n  "warehouses": [\n    {"name": "North"')
