import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path.cwd()
INDEX = "<h1>Example</h1>\n<p>Welcome.</p>\n<hr>\n"


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("out", ".git"))
    return folder


def make(folder, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def age(folder):
    """Put every file's time into the past, in the order of those times, so that the next change is seen."""
    every = sorted((path for path in [folder, *folder.rglob("*")]), key=lambda path: path.stat().st_mtime_ns)
    for number, path in enumerate(every):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))


def built(folder):
    done = make(folder)
    assert done.returncode == 0, done.stderr
    age(folder)
    return {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}


def remade(folder, before):
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    return {name for name in after if after[name] != before.get(name)}


def change(folder, name, text=None):
    path = folder / name
    path.write_text(path.read_text() + "\n" if text is None else text)


def test_a_fresh_checkout(site):
    built(site)
    assert (site / "out/index.html").read_text() == INDEX
    assert (site / "out/list.txt").read_text() == "about\nindex\nnews\n"


def test_side_by_side(site):
    assert make(site, "-j4").returncode == 0
    assert (site / "out/list.txt").read_text() == "about\nindex\nnews\n"
    assert make(site, "clean").returncode == 0
    assert not list((site / "out").glob("*"))
    assert make(site, "-j4").returncode == 0
    assert (site / "out/index.html").read_text() == INDEX


def test_nothing_to_do(site):
    built(site)
    assert make(site, "-q").returncode == 0
    done = make(site)
    assert done.returncode == 0
    assert "tools/" not in done.stdout


def test_nothing_to_do_at_once(site):
    assert make(site).returncode == 0
    assert make(site, "-q").returncode == 0


def test_a_text_changes(site):
    before = built(site)
    change(site, "pages/about.txt", "New.\n")
    built_again = make(site)
    assert built_again.returncode == 0
    assert remade(site, before) == {"about.html", "list.txt"}
    assert "<p>New.</p>" in (site / "out/about.html").read_text()


def test_what_all_pages_are_made_of_changes(site):
    for name in ("parts/head.html", "parts/foot.html", "tools/page.sh", "tools/site.conf"):
        before = built(site)
        change(site, name)
        assert make(site).returncode == 0
        assert remade(site, before) >= {"index.html", "about.html", "news.html"}, name
    change(site, "tools/site.conf", "SITE=Other\n")
    assert make(site).returncode == 0
    assert (site / "out/news.html").read_text().startswith("<h1>Other</h1>")


def test_the_list_script_changes(site):
    before = built(site)
    change(site, "tools/list.sh")
    assert make(site).returncode == 0
    assert remade(site, before) == {"list.txt"}


def test_a_page_is_added(site):
    before = built(site)
    change_new = site / "pages" / "contact.txt"
    change_new.write_text("Call us.\n")
    assert make(site).returncode == 0
    assert remade(site, before) == {"contact.html", "list.txt"}
    assert (site / "out/list.txt").read_text() == "about\ncontact\nindex\nnews\n"


def test_a_text_is_gone(site):
    built(site)
    (site / "pages/news.txt").unlink()
    change(site, "pages/about.txt", "New.\n")
    assert make(site).returncode == 0
    assert (site / "out/list.txt").read_text() == "about\nindex\n"


def test_a_script_fails(site):
    change(site, "tools/page.sh", "echo half\nexit 1\n")
    assert make(site).returncode != 0
    shutil.copy(HERE / "tools/page.sh", site / "tools/page.sh")
    age(site)
    os.utime(site / "tools/page.sh", (1, 1))  # older than what a failed run may have left
    assert make(site).returncode == 0
    assert (site / "out/index.html").read_text() == INDEX


def test_the_list_script_fails(site):
    change(site, "tools/list.sh", "echo half\nexit 1\n")
    assert make(site).returncode != 0
    shutil.copy(HERE / "tools/list.sh", site / "tools/list.sh")
    age(site)
    os.utime(site / "tools/list.sh", (1, 1))  # older than what a failed run may have left
    assert make(site).returncode == 0
    assert (site / "out/list.txt").read_text() == "about\nindex\nnews\n"


def test_files_called_like_targets(site):
    for name in ("all", "clean"):
        (site / name).write_text("")
    assert make(site, "all").returncode == 0
    assert (site / "out/index.html").exists()
    assert make(site, "clean").returncode == 0
    assert not (site / "out/index.html").exists()


def test_the_rest_stays():
    assert (HERE / "tools/list.sh").read_text().startswith("# list.sh PAGE...")
    assert (HERE / "tools/page.sh").read_text().startswith("# page.sh TEXT")
    assert (HERE / "pages/index.txt").read_text() == "Welcome.\n"
