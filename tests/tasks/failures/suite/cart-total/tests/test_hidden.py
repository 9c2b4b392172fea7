from shop.cart import Cart
from shop.pricing import discounted, with_tax


def test_without_a_discount():
    assert discounted([250, 250], 0) == 500


def test_the_example():
    cart = Cart(10)
    cart.add(335, 3)
    assert cart.total() == 905


def test_half_a_cent_goes_up():
    assert discounted([1, 2, 2], 10) == 5
    assert discounted([5], 50) == 3


def test_it_is_an_integer():
    assert type(discounted([999, 1], 33)) is int


def test_tax():
    assert with_tax(1050, 5) == 1103
