import re

import pytest
from shop.api import Api
from shop.service import Orders
from shop.store import Store


def filled(count=7):
    """Three orders a day; every third is Bob's."""
    store = Store()
    for number in range(count):
        store.add("bob" if number % 3 == 0 else "ada", number, f"2026-11-{10 + number // 3}")
    return store


def ids(orders):
    return [order["id"] for order in orders]


def walk(api, query, between=lambda: None):
    """The ids of each page."""
    pages, cursor = [], None
    while True:
        status, body = api.get(f"/orders?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert status == 200
        assert set(body) == {"orders", "next"}
        pages.append(ids(body["orders"]))
        cursor = body["next"]
        if cursor is None:
            return pages
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
        between()


def test_what_there_was():
    store = filled()
    assert ids(store.all()) == [7, 6, 5, 4, 3, 2, 1]
    assert ids(Orders(store).listed("bob")) == [7, 4, 1]
    assert Api(Orders(store)).get("/other") == (404, {"error": "not found"})


def test_pages_of_the_store():
    store = filled()
    assert ids(store.page(None, 3)) == [7, 6, 5]
    assert ids(store.page(("2026-11-11", 5), 3)) == [4, 3, 2]
    assert ids(store.page(("2026-11-11", 99), 10, "bob")) == [4, 1]
    assert store.page(("2026-01-01", 1), 3) == []
    store.remove(5)
    assert ids(store.page(("2026-11-11", 5), 2)) == [4, 3]


def test_pages_of_the_service():
    orders = Orders(filled())
    first, cursor = orders.page(limit=5)
    rest, end = orders.page(limit=5, cursor=cursor)
    assert (ids(first), ids(rest), end) == ([7, 6, 5, 4, 3], [2, 1], None)
    with pytest.raises(ValueError, match="^bad cursor$"):
        orders.page(cursor="xyz")


def test_all_pages():
    assert walk(Api(Orders(filled())), "limit=3") == [[7, 6, 5], [4, 3, 2], [1]]
    assert walk(Api(Orders(filled(6))), "limit=3") == [[6, 5, 4], [3, 2, 1]]
    assert walk(Api(Orders(Store())), "limit=3") == [[]]


def test_the_default_limit():
    pages = walk(Api(Orders(filled(45))), "")
    assert [len(page) for page in pages] == [20, 20, 5]


def test_the_largest_page():
    assert [len(page) for page in walk(Api(Orders(filled(150))), "limit=100")] == [100, 50]


def test_of_one_customer():
    assert walk(Api(Orders(filled(10))), "limit=2&customer=bob") == [[10, 7], [4, 1]]
    assert walk(Api(Orders(filled(10))), "limit=2&customer=nobody") == [[]]


def test_a_removed_order_shifts_nothing():
    store = filled()
    gone = iter([6, 3])
    pages = walk(Api(Orders(store)), "limit=3", between=lambda: store.remove(next(gone)))
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


def test_the_last_of_a_page_is_removed():
    store = filled()
    api = Api(Orders(store))
    _, body = api.get("/orders?limit=3")
    store.remove(5)
    _, body = api.get(f"/orders?limit=3&cursor={body['next']}")
    assert ids(body["orders"]) == [4, 3, 2]


def test_added_orders():
    store = filled()
    api = Api(Orders(store))
    _, body = api.get("/orders?limit=2")
    store.add("eve", 1, "2026-12-01")
    store.add("eve", 1, "2026-11-10")
    _, body = api.get(f"/orders?limit=9&cursor={body['next']}")
    assert ids(body["orders"]) == [5, 4, 9, 3, 2, 1]


def test_bad_limits():
    api = Api(Orders(filled()))
    for limit in ("0", "-1", "101", "5.0", "x", "", "1e1", "%2B5", "9999999999999999999999"):
        assert api.get(f"/orders?limit={limit}&cursor=xyz") == (400, {"error": "bad limit"})


def test_bad_cursors():
    api = Api(Orders(filled()))
    for cursor in ("xyz", "5", "", "%20", "7-7", "None", "%C3%A9", "AAAA", "____"):
        assert api.get(f"/orders?cursor={cursor}") == (400, {"error": "bad cursor"})


def test_only_a_page_is_read():
    class Counting(Store):
        def __init__(self):
            super().__init__()
            self.asked = []

        def page(self, after, limit, customer=None):
            self.asked.append(limit)
            return super().page(after, limit, customer)

    store = Counting()
    for number in range(30):
        store.add("ada", number, "2026-11-25")
    orders = Orders(store)
    orders.listed = None
    status, _ = Api(orders).get("/orders?limit=4")
    assert status == 200
    assert store.asked
    assert max(store.asked) <= 5
