import pytest
from mailer import rules, send


@pytest.fixture(autouse=True)
def fresh():
    send.reset()
    yield
    send.reset()


def test_sending():
    assert send.send("Ada@example.org", " Hi ", "text \n\n") is True
    wanted = {"from": "noreply@example.org", "to": "Ada@example.org", "subject": "Hi", "body": "text\n"}
    assert send.sent() == [wanted]
    send.sent().clear()
    assert len(send.sent()) == 1


def test_settings():
    send.configure(sender="a@b", footer="Bye")
    send.send("x@y", "", "t")
    assert send.sent() == [{"from": "a@b", "to": "x@y", "subject": "(no subject)", "body": "t\n-- \nBye\n"}]
    with pytest.raises(TypeError, match="no setting 'colour'"):
        send.configure(colour="red", sender="z@z")
    send.send("x@y", "", "t")
    assert send.sent()[1]["from"] == "a@b"


def test_the_limit():
    assert [send.send(to, "s", "t") for to in ("a@b", "A@b", "a@B", "a@b", "c@d")] == [True, True, True, False, True]
    assert rules.may_send("A@B") is False
    send.configure(limit=4)
    assert rules.may_send("A@B") is True


def test_blocking_and_reset():
    rules.block("Spam@x")
    send.configure(footer="F", limit=1)
    assert send.send("sPAM@X", "s", "t") is False
    send.reset()
    assert send.send("spam@x", "s", "t") is True
    assert send.sent()[0]["body"] == "t\n"
