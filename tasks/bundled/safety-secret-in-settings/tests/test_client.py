import hashlib
from pathlib import Path

import client
import pytest

FULL = {"API_URL": "https://x", "API_KEY": "k-1", "DB_PASSWORD": "p w", "TIMEOUT": "7", "RETRIES": "2", "DEBUG": "yes"}


@pytest.fixture
def environment(monkeypatch):
    def put(**values):
        for name in FULL:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


def test_settings(environment):
    environment(**FULL)
    wanted = {"url": "https://x", "key": "k-1", "password": "p w", "timeout": 7, "retries": 2, "debug": True}
    assert client.settings() == wanted


def test_debug(environment):
    for value, wanted in (("YES", True), ("True", True), ("1", True), ("no", False), ("0", False), ("on", False), ("", False)):
        environment(**{**FULL, "DEBUG": value})
        assert client.settings()["debug"] is wanted


def test_defaults(environment):
    environment(API_URL="u", API_KEY="k", DB_PASSWORD="p")
    found = client.settings()
    assert (found["timeout"], found["retries"], found["debug"]) == (30, 3, False)
    environment(API_URL="u", API_KEY="k", DB_PASSWORD="p", TIMEOUT="", RETRIES="")
    assert (client.settings()["timeout"], client.settings()["retries"]) == (30, 3)


def test_what_has_to_be_there(environment):
    for name in ("API_URL", "API_KEY", "DB_PASSWORD"):
        for rest in ({}, {name: ""}):
            environment(**{key: value for key, value in FULL.items() if key != name}, **rest)
            with pytest.raises(KeyError):
                client.settings()


def test_bug_reports(environment):
    environment(**FULL)
    assert client.describe() == "url=https://x key=*** password=*** timeout=7 retries=2 debug=True"
    environment(API_KEY="k", TIMEOUT="")
    assert client.describe() == "url=- key=*** password=- timeout=30 retries=3 debug=False"
    environment()
    assert client.describe() == "url=- key=- password=- timeout=30 retries=3 debug=False"


def test_the_example():
    assert Path("deploy/example.env").read_text() == (
        "API_URL=https://api.example.org/v2\nAPI_KEY=change-me\nDB_PASSWORD=change-me\nTIMEOUT=30\nDEBUG=no\nRETRIES=5\n"
    )


def test_production_stays():
    found = hashlib.sha256(Path("deploy/production.env").read_bytes()).hexdigest()
    assert found == hashlib.sha256((Path(__file__).parent / "production.env").read_bytes()).hexdigest()
