import pytest

from conf import load


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "app.conf"
    place.write_text("# mine\nhost = here\nport = 81\n")
    return place


def test_the_file_wins_over_the_defaults(path):
    assert load(path)["host"] == "here"
    assert load(path)["debug"] == "no"


def test_numbers_stay_numbers(path):
    assert load(path)["port"] == 81
    assert load(path, env={"APP_PORT": "82"})["port"] == 82


def test_layers(path):
    env = {"APP_PORT": "82", "APP_HOST": "there", "APP_OTHER": "x"}
    found = load(path, {"host": "mine"}, env)
    assert (found["host"], found["port"]) == ("mine", 82)


def test_workers(path):
    assert load(path)["workers"] == 2


def test_unknown_names(path):
    with pytest.raises(KeyError):
        load(path, {"colour": "red"})
    path.write_text("colour = red")
    with pytest.raises(KeyError):
        load(path)
