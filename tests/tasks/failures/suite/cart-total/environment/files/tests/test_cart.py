from shop.cart import Cart


def test_without_a_discount():
    cart = Cart()
    cart.add(250, 2)
    assert cart.total() == 500


def test_with_a_discount():
    cart = Cart(10)
    cart.add(335, 3)
    assert cart.total() == 905
