import bottle


def decorated(function):
    def inner(*arguments):
        return function(*arguments)

    return inner


class Page:
    def __init__(self, number):
        self.number = number

    def __call__(self):
        return self.number


def found(callback):
    return bottle.Route(bottle.Bottle(), None, None, callback).get_undecorated_callback()()


def test_objects_that_can_be_called():
    assert [found(decorated(Page(31))), found(decorated(decorated(Page(47)))), found(Page(53))] == [31, 47, 53]
