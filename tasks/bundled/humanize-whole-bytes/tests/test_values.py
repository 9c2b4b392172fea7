from humanize import naturalsize


def test_parts_of_bytes():
    shown = [naturalsize(size) for size in (123.456, 1.5, -7.9, 999.99, "42.25")]
    assert shown == ["123 Bytes", "1 Bytes", "-7 Bytes", "999 Bytes", "42 Bytes"]


def test_parts_of_bytes_in_short():
    assert [naturalsize(size, gnu=True) for size in (123.456, 2.75, "86.5", 2048)] == ["123B", "2B", "86B", "2.0K"]
