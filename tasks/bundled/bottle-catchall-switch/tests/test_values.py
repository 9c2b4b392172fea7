import bottle


def test_what_is_set_is_told():
    app = bottle.Bottle()
    told = []
    for value in (False, True, False):
        app.catchall = value
        told.append(str(app.config["catchall"]))
    assert told == ["False", "True", "False"]


def test_what_a_page_answers():
    app = bottle.Bottle()

    @app.get("/")
    def broken():
        raise KeyError("gone")

    def answer():
        status = []
        environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "wsgi.errors": Errors()}
        try:
            app(environ, lambda line, *_: status.append(line))
        except KeyError as error:
            return f"raises {error}"
        return status[0]

    answers = [answer()]
    app.catchall = False
    answers.append(answer())
    assert answers == ["500 Internal Server Error", "raises 'gone'"]


class Errors:
    def write(self, text):
        pass

    def flush(self):
        pass
