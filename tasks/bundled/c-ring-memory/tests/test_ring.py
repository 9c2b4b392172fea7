import functools
import os
import random
import subprocess
import tempfile
from pathlib import Path

HERE = Path.cwd()
TESTS = Path(__file__).parent
RENAMED = [f"-D{name}=test_{name}" for name in ("malloc", "calloc", "realloc", "free")]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ENV = {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}


def gcc(*arguments):
    done = subprocess.run(["gcc", "-std=c11", "-g", *map(str, arguments)], capture_output=True, text=True, env=ENV)
    assert done.returncode == 0, done.stderr


@functools.cache
def program():
    folder = Path(tempfile.mkdtemp())
    (folder / "probe.c").write_text("int main(void) { return 0; }\n")
    probe = ["gcc", *SANITIZERS, str(folder / "probe.c"), "-o", str(folder / "probe")]
    usable = subprocess.run(probe, capture_output=True, env=ENV).returncode == 0
    usable = usable and subprocess.run([folder / "probe"], capture_output=True, env=ENV).returncode == 0
    options = SANITIZERS if usable else []
    include = (folder / "renamed.h", "#include <stdlib.h>\n#include <string.h>\n" + "".join(
        f"{head};\n" for head in (
            "void *test_malloc(size_t)", "void *test_calloc(size_t, size_t)", "void *test_realloc(void *, size_t)", "void test_free(void *)",
        )
    ))
    include[0].write_text(include[1])
    gcc("-Wall", "-Wextra", "-Werror", *options, "-include", include[0], *RENAMED, "-c", HERE / "ring.c", "-o", folder / "ring.o")
    gcc("-D_POSIX_C_SOURCE=200809L", *options, f"-I{HERE}", TESTS / "driver.c", folder / "ring.o", "-o", folder / "driver")
    return folder / "driver"


def run(*lines):
    done = subprocess.run([program()], input="\n".join(lines) + "\n", capture_output=True, text=True, env=ENV, timeout=60)
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout.splitlines()


def test_without_warnings(tmp_path):
    gcc("-O2", "-Wall", "-Wextra", "-Werror", "-c", HERE / "ring.c", "-o", tmp_path / "ring.o")


def test_put_and_get():
    said = run("new 3", "put a", "put bb", "get 0", "get 1", "get 2", "get 3", "get 99", "put ", "get 2", "show")
    assert said == ["ring", "0", "0", "a", "bb", "NULL", "NULL", "NULL", "0", "", "3 [a,bb,]"]


def test_a_full_ring_turns():
    said = run("new 2", *[f"put {number}" for number in range(7)], "show", "get 0", "get 1", "get 2")
    assert said[-4:] == ["2 [5,6]", "5", "6", "NULL"]
    assert run("new 1", "put a", "put b", "put c", "show")[-1] == "1 [c]"


def test_no_room():
    assert run("new 0", "living") == ["NULL", "0"]


def test_join():
    assert run("new 2", "join ,", "put x", "join ,", "put y", "join  and ", "join ")[1:] == ["", "0", "x", "0", "x and y", "xy"]
    long = "z" * 5000
    assert run("new 3", f"put {long}", f"put {long}", "join --")[-1] == f"{long}--{long}"


def test_nothing_is_left():
    lines = ["new 3", *[f"put {'t' * number}" for number in range(20)], "resize 2", "resize 5", "put x", "join ,", "free", "living"]
    assert run(*lines)[-1] == "0"
    assert run("free", "living") == ["0"]


def test_resize():
    turned = ["new 3", *[f"put {number}" for number in range(5)]]
    assert run(*turned, "resize 5", "show", "put 5", "put 6", "put 7", "show")[-5:] == ["3 [2,3,4]", "0", "0", "0", "5 [3,4,5,6,7]"]
    assert run(*turned, "resize 2", "show", "put 5", "show")[-3:] == ["2 [3,4]", "0", "2 [4,5]"]
    assert run(*turned, "resize 3", "show", "resize 0", "show")[-3:] == ["3 [2,3,4]", "-1", "3 [2,3,4]"]
    assert run("new 3", "resize 1", "show", "put a", "put b", "show")[-1] == "1 [b]"


def test_a_text_of_the_ring_itself():
    assert run("new 2", "put first", "put second", "again 0", "show")[-1] == "2 [second,first]"
    assert run("new 1", "put only", "again 0", "show", "free", "living")[-2:] == ["1 [only]", "0"]


def test_memory_runs_out():
    for after in range(2):
        assert run(f"refuse {after}", "new 3", "refuse -1", "living") == ["NULL", "0"]
    full = ["new 2", "put a", "put b", "put c"]
    said = run(*full, "refuse 0", "put d", "join ,", "resize 4", "resize 1", "refuse -1", "show", "put e", "show", "free", "living")
    assert said[4:] == ["-1", "NULL", "-1", "-1", "2 [b,c]", "0", "2 [c,e]", "0"] or said[4:] == [
        "-1", "NULL", "-1", "0", "1 [c]", "0", "1 [e]", "0",
    ]


def test_sizes_that_cannot_be():
    assert run("new 18446744073709551615", "living") == ["NULL", "0"]
    assert run("new 2", "put a", "resize 18446744073709551615", "show", "resize 4611686018427387904", "show")[2:] == ["-1", "1 [a]", "-1", "1 [a]"]


def test_many_changes():
    chance = random.Random(9)
    for _ in range(15):
        room, kept = chance.randint(1, 5), []
        lines, wanted = [f"new {room}"], ["ring"]
        for step in range(60):
            if chance.random() < 0.2:
                room = chance.randint(1, 7)
                lines.append(f"resize {room}")
            else:
                text = chance.choice("abc") * chance.randint(0, 9)
                kept.append(text)
                lines.append(f"put {text}")
            kept = kept[-room:]
            wanted.append("0")
            lines.append("show")
            wanted.append(f"{len(kept)} [{','.join(kept)}]")
        assert run(*lines, "free", "living") == [*wanted, "0"]


def test_the_header_stays():
    assert (HERE / "ring.h").read_bytes() == (TESTS / "ring.h.txt").read_bytes()
