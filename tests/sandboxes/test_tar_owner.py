"""Archives keep everything but their owners."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.docker.tar_owner import with_owner

NAMES = st.text(st.characters(blacklist_characters="\0/\\", blacklist_categories=["Cs"]), min_size=1, max_size=120)


@given(
    st.dictionaries(NAMES.filter(lambda n: n.strip(".") != ""), st.binary(max_size=2000), max_size=6),
    st.integers(0, 1 << 33),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.text(max_size=40).filter(lambda t: "\0" not in t and t.isprintable()),
)
def test_everything_else_stays(files: dict[str, bytes], uid: int, form: int, user: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo("folder/" * 20 + name)
            info.size, info.uid, info.gid, info.uname, info.mtime, info.mode = (
                len(data),
                uid,
                uid,
                user,
                1e9 + 0.5,
                0o640,
            )
            tar.addfile(info, io.BytesIO(data))
    out.seek(0)
    result = b"".join(with_owner(out, 1000, 1001))
    assert len(result) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(result)) as tar:
        members = tar.getmembers()
        assert [(m.uid, m.gid, m.uname, m.mode) for m in members] == [(1000, 1001, "", 0o640)] * len(files)
        got = {m.name.removeprefix("folder/" * 20): tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    assert got == files


@pytest.mark.parametrize("cut", [100, 600, 700])
def test_a_broken_archive_is_refused(cut: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(range(250)) * 20))
    with pytest.raises(ValueError, match="cut short"):
        b"".join(with_owner(io.BytesIO(out.getvalue()[:cut]), 1, 1))


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_refused(data: bytes) -> None:
    try:
        for _ in with_owner(io.BytesIO(data), 1, 1):
            pass
    except ValueError:
        pass
