import json
from pathlib import Path


def told(*names):
    """Of each session what is told under these names, in a line."""
    return [" ".join(map(shown, (each[name] for name in names))) for each in json.loads(Path("sessions.json").read_text())]


def shown(value):
    """A list with commas, and what is no text as JSON has it."""
    return ",".join(value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)


def test_who_and_when():
    assert told("user", "start", "end") == [
        "eve 2026-11-24T21:54:00Z 2026-11-24T21:59:00Z", "cyd 2026-11-24T22:06:01Z 2026-11-24T22:06:21Z",
        "dee 2026-11-24T22:12:00Z 2026-11-24T23:48:59Z", "eve 2026-11-24T22:29:01Z 2026-11-24T22:59:00Z",
        "ada 2026-11-24T23:08:00Z 2026-11-24T23:53:39Z", "bob 2026-11-24T23:56:00Z 2026-11-24T23:56:00Z",
        "cyd 2026-11-25T00:06:21Z 2026-11-25T00:36:40Z", "ada 2026-11-25T00:33:39Z 2026-11-25T00:38:39Z",
        "bob 2026-11-25T00:36:00Z 2026-11-25T00:36:00Z", "eve 2026-11-25T00:59:00Z 2026-11-25T01:04:00Z",
        "bob 2026-11-25T01:06:01Z 2026-11-25T01:07:01Z", "cyd 2026-11-25T01:06:41Z 2026-11-25T01:37:00Z",
        "bob 2026-11-25T01:47:01Z 2026-11-25T01:52:01Z", "dee 2026-11-25T01:48:59Z 2026-11-25T02:03:59Z",
        "ada 2026-11-25T02:38:39Z 2026-11-25T04:24:57Z", "eve 2026-11-25T03:04:00Z 2026-11-25T03:09:00Z",
        "cyd 2026-11-25T03:37:00Z 2026-11-25T03:37:00Z", "bob 2026-11-25T03:52:01Z 2026-11-25T03:52:01Z",
        "dee 2026-11-25T04:03:59Z 2026-11-25T05:35:18Z", "cyd 2026-11-25T04:07:01Z 2026-11-25T04:07:01Z",
        "bob 2026-11-25T04:32:01Z 2026-11-25T04:32:01Z", "ada 2026-11-25T04:54:58Z 2026-11-25T05:09:58Z",
        "eve 2026-11-25T05:09:00Z 2026-11-25T05:10:00Z", "cyd 2026-11-25T06:07:01Z 2026-11-25T06:07:01Z",
        "bob 2026-11-25T06:32:01Z 2026-11-25T06:37:01Z", "bob 2026-11-25T07:07:02Z 2026-11-25T07:07:02Z",
        "eve 2026-11-25T07:10:00Z 2026-11-25T07:10:00Z", "eve 2026-11-25T07:40:01Z 2026-11-25T08:10:00Z",
        "bob 2026-11-25T07:47:02Z 2026-11-25T07:47:02Z", "cyd 2026-11-25T08:07:01Z 2026-11-25T08:07:01Z",
        "bob 2026-11-25T08:17:03Z 2026-11-25T08:27:03Z", "eve 2026-11-25T08:50:00Z 2026-11-25T08:50:00Z",
    ]


def test_how_much():
    assert told("user", "visits", "bytes", "errors") == [
        "eve 2 0 0", "cyd 2 6564 1", "dee 7 8537 4", "eve 2 1945 2", "ada 5 5659 1", "bob 1 0 1", "cyd 3 4488 1", "ada 2 0 1",
        "bob 1 0 0", "eve 2 3280 0", "bob 2 5840 2", "cyd 3 965 1", "bob 2 0 0", "dee 2 0 2", "ada 7 7183 3", "eve 2 2687 1",
        "cyd 1 0 1", "bob 1 0 0", "dee 6 12048 2", "cyd 1 0 1", "bob 1 0 0", "ada 2 0 1", "eve 2 3567 1", "cyd 1 863 0",
        "bob 2 4621 1", "bob 1 4133 0", "eve 1 0 0", "eve 2 2888 0", "bob 1 0 1", "cyd 1 3502 0", "bob 3 6009 0", "eve 1 4221 0",
    ]


def test_what():
    assert told("user", "paths", "paid") == [
        "eve /,/pay true", "cyd /cart,/item/9 false", "dee /,/pay,/search true", "eve /item/9 false",
        "ada /,/cart,/item/9,/pay,/search true", "bob /item/7 false", "cyd /,/cart,/search false", "ada /cart,/item/7 false",
        "bob /item/7 false", "eve /cart,/item/7 false", "bob /pay,/search false", "cyd /cart,/item/7,/pay true",
        "bob /cart,/pay true", "dee /,/pay false", "ada /,/item/9,/pay true", "eve /item/7,/item/9 false",
        "cyd /item/7 false", "bob /search false", "dee /cart,/item/7,/item/9,/pay,/search true", "cyd /pay false",
        "bob /cart false", "ada /cart,/item/7 false", "eve /cart false", "cyd /item/9 false",
        "bob /item/9,/search false", "bob / false", "eve /search false", "eve /cart,/item/9 false",
        "bob /item/7 false", "cyd /search false", "bob /,/item/7 false", "eve /search false",
    ]


def test_nothing_else():
    fields = {",".join(sorted(each)) for each in json.loads(Path("sessions.json").read_text())}
    assert fields == {"bytes,end,errors,paid,paths,start,user,visits"}


def test_the_rejected_lines():
    assert json.loads(Path("rejected.json").read_text()) == [
        {"file": "access-1.log", "line": 13}, {"file": "access-1.log", "line": 21},
        {"file": "access-1.log", "line": 34}, {"file": "access-1.log", "line": 36},
    ]
