"""What the user said becomes rules; what they did not mean as an order does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.autonomy.calls import Call
from agent.autonomy.constraints import extract, placed, unheard
from agent.autonomy.judging import judge
from agent.autonomy.levels import Level
from agent.autonomy.rulebook import example_call, failures, parse_rules
from agent.autonomy.rules import Example
from agent.outcomes import UsageProblem

STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}
ORDERS = {
    "Fix mean(). Don't touch tests/.": "Don't touch tests/",
    "mean() is wrong; please do not modify the tests.": "do not modify the tests",
    "Fix it, but don’t install anything": "don't install anything",
    "Fix it without installing any packages.": "without installing any packages",
    "Fix the crash (no network access)": "no network access",
    "So:\n- no new dependencies\n* do not commit\n1. never push": "no new dependencies|do not commit|never push",
    "Only change src/": "Only change src/",
    "You must not edit `pyproject.toml` or setup.cfg.": "must not edit `pyproject.toml` or setup.cfg",
    "Don't change anything outside src/": "Don't change anything outside src/",
    "Leave the docs folder alone and work offline.": "Leave the docs folder alone|work offline",
    "Keep your changes in src/calc": "Keep your changes in src/calc",
    "Please, don't use the\ninternet.": "don't use the internet",
    "No changes to src/legacy/, please": "No changes to src/legacy/",
    "Never force-push!": "Never force-push",
    "do not delete any files": "do not delete any files",
    "Avoid touching *.lock files": "Avoid touching *.lock files",
    "No changes outside src/.": "No changes outside src/",
    "No edits except in src/ please": "No edits except in src/",
    "Make sure you don't touch tests/": "don't touch tests/",
    "Fix it. Please make sure that you do not commit.": "do not commit",
    "I don't want you to touch tests/": "I don't want you to touch tests/",
    "You are not allowed to change the tests.": "are not allowed to change the tests",
    "Under no circumstances touch tests/": "Under no circumstances touch tests/",
    "Do not run npm install": "Do not run npm install",
    "Fix it, but don't run git push or `make deploy`.": "don't run git push or `make deploy`",
    "tests/ is read-only": "tests/ is read-only",
    "The tests are off-limits, and old/ must not be changed.": "The tests are off-limits|old/ must not be changed",
    "tests/ and docs/ are read-only": "tests/ and docs/ are read-only",
}
NO_ORDERS = [
    "It crashes when there is no network",
    "It crashes with no network access, and mean() is wrong",
    "If I don't install anything, it fails",
    "Why don't you install anything?",
    "Users don't commit here",
    "don't install anything unless you have to",
    "only change the parser",
    "only change src/ and the parser",
    "Don't change mean()",
    "do not change the public API",
    "The function should not change the list in utils.py",
    "mean() should only change src/",
    "```\ndon't touch tests/\n```",
    "> don't touch tests/",
    'It prints "don\'t touch tests/"',
    "Do not touch version 3.11",
    "don't touch ../other/",
    "no commits are shown by the log view",
    "No installation is needed to reproduce this",
    "Don't run the tests twice",
    "Don't run it in a loop",
    "Do not run find on the whole tree",
    "It says that tests/ is read-only",
    "The list must not be changed",
    "mean() should not be changed by rounding",
    "I don't want to install anything",
    "config.yaml is read-only when it starts, and that crashes",
    "",
]


@pytest.mark.parametrize("text", ORDERS)
def test_orders_are_heard(text: str) -> None:
    assert "|".join(each.said for each in extract(text)) == ORDERS[text]


@pytest.mark.parametrize("text", NO_ORDERS)
def test_what_is_no_order_is_left_alone(text: str) -> None:
    assert extract(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("don't install anything unless you have to", ["don't install anything unless you have to"]),
        ("Fix it. only change src/ and the parser.", ["only change src/ and the parser"]),
        ("Never ever let src/a.py near tests/!", ["Never ever let src/a.py near tests/"]),
        ("don't touch ../other/", ["don't touch ../other/"]),
        ("Don't touch tests/", []),
        ("Don't change mean()", []),
        ("It does not find src/a.py", []),
        ("No installation is needed to reproduce this", []),
        ("The function should not change the list in utils.py", []),
        ("```\ndon't install anything unless asked\n```", []),
    ],
)
def test_an_order_that_is_not_understood_is_told(text: str, told: list[str]) -> None:
    assert unheard(text) == told


def shell(command: str) -> Call:
    return example_call(Example(tool="shell", arguments={"command": command}))


def write(path: str) -> Call:
    return example_call(Example(tool="write", arguments={"path": path, "content": ""}))


@pytest.mark.parametrize(
    ("said", "refused", "left"),
    [
        ("Don't touch tests/", write("tests/a.py"), write("src/a.py")),
        ("Don't touch tests/", shell("rm -r tests/data"), shell("pytest tests/")),
        ("Do not change the tests", write("src/test_a.py"), write("src/a.py")),
        ("Don't touch the docs folder", write("web/docs/a.md"), write("docs.md")),
        ("Don't edit docs/guide.md", write("docs/guide.md"), write("web/docs/guide.md")),
        ("Only change src/", write("setup.py"), write("src/a/b.py")),
        ("Only change src/", write("web/src/a.py"), write("/tmp/x")),
        ("Only change src/ and docs/a.md", write("docs/b.md"), write("docs/a.md")),
        ("Don't change anything except calc.py", write("a.py"), write("calc.py")),
        ("Don't install anything", shell("cd x && python3 -m pip install y"), shell("pip list")),
        ("Don't install anything", shell("sudo apt-get -y install x"), shell("make install")),
        ("No new dependencies", shell("npm i x"), shell("npm test")),
        ("No network", shell("curl https://example.org"), shell("make")),
        ("Don't commit", shell("git -C . commit -m x"), shell("git diff")),
        (
            "Don't commit",
            example_call(Example(tool="git", arguments={"action": "commit", "message": "x"})),
            shell("ls"),
        ),
        ("Never push", shell("git push"), shell("git commit -m push")),
        ("Don't delete any files", shell("rm a"), write("a")),
        ("Don't touch anything", write("a"), shell("cat a")),
        ("No changes outside src/", write("setup.py"), write("src/a.py")),
        ("Make sure you don't touch tests/", write("tests/a.py"), write("src/a.py")),
        ("I don't want you to touch tests/", write("tests/a.py"), write("src/a.py")),
        ("tests/ is read-only", write("tests/a.py"), shell("pytest tests/")),
        ("Do not run npm install", shell("cd web && npm install"), shell("npm test")),
        ("Don't run `make deploy`", shell("make -s deploy"), shell("make test")),
    ],
)
def test_the_rules_refuse_what_was_said_and_nothing_else(said: str, refused: Call, left: Call) -> None:
    rules = placed(extract(said))
    assert rules
    found = judge(Level.FULL, refused, rules)
    assert found.verdict == "deny"
    assert f"you said: {said.removeprefix('Make sure you ')}" in found.cause
    assert judge(Level.FULL, left, rules).verdict == "allow"


INSTALLING = """
npm install|npm i x|npm in x|npm inst x|npm ci|npm --prefix web install|npm update|npm exec x|npm init x
npm audit fix|npx x|npx -y x|pnpm add x|pnpm dlx x|pnpm i|yarn|yarn --frozen-lockfile|yarn install|yarn add x
yarn dlx x|yarn global add x|bun install|bun add x|bunx x|bun x y|corepack prepare yarn@4 --activate
pip install x|pip3 install -r requirements.txt|python3 -m pip install x|python -mpip install x|pip download x
pipx run x|pipx install x|pip-sync|uv add x|uv sync|uv pip install x|uv run --with x y.py|uv run --with=x y.py
uv tool install x|uv tool run x|uvx x|poetry add x|poetry install|poetry update|pdm add x|pipenv install x
hatch dep sync|rye sync|conda create -n a x|conda install x|conda env create -f e.yml|micromamba install x
mamba update x|easy_install x|python setup.py install|python3 ./setup.py develop|cargo install x|cargo add x
cargo binstall x|go get x|go install x@latest|go run x@latest|go -C a get x|gem install x|gem update|bundle
bundle install|bundler add x|composer require x|composer install|dotnet add package x|cpanm X
luarocks install x|opam install x|cabal install x|dart pub get|pod install|mix deps.get|apt-get -y install x
apt install x|apt upgrade|apk add x|dnf install x|yum install x|zypper in x|pacman -S x|pacman -Syu
pacman -U x.pkg|dpkg -i x.deb|rpm -i x.rpm|rpm -Uvh x.rpm|brew install x|snap install x|flatpak install x
nix-env -i x|nix-env -iA nixpkgs.x|nix profile install nixpkgs#x|emerge x|deno install x|deno add x
mise install x|mise use node@22|nvm install 22|rustup toolchain install nightly|rustup component add clippy
asdf install x|sudo apt-get install x|env A=1 npm ci|cd web && npm ci|bash -c 'npm ci'|true; (pip install x)
xargs pip install|sudo -n sh -c "cd a && pip install x"|a=install; npm $a x
find . -name requirements.txt -exec pip install -r {} +
"""
NOT_INSTALLING = """
yarn test|yarn lint|yarn run build|yarn build --watch|yarn why x|yarn --version|npm test|npm run install-hooks
npm run build|npm ls|npm view x|npm init -y|npm audit|pnpm test|bun test|bun run dev|npx --no-install x
npx --no x|pip list|pip show x|pip freeze|python -m pytest|python setup.py --version|python setup.py build
uv run pytest|uv run -- pytest --with x|uv pip list|uv lock --check|poetry run pytest|poetry show|poetry lock
conda list|conda run -n a pytest|cargo build|cargo test|cargo update|go build ./...|go run ./cmd/x
go run main.go a@b.example|go test ./...|gem list|bundle exec rspec|bundle -v|bundle check|composer test
dotnet build|dotnet test|mix test|apt list|apt-cache policy x|dpkg -l|dpkg -S x|rpm -qa|pacman -Q|brew list
nix develop|make install|ls|git add x|rustup show|mise ls|nvm ls|echo npm install|grep -rn 'npm install' .
cat install|git commit -m 'npm install works'|pip --version|deno test|pre-commit run
"""


def _lines(text: str) -> list[str]:
    return [line for row in text.strip().splitlines() for line in row.split("|")]


@pytest.mark.parametrize("line", _lines(INSTALLING))
def test_what_installs_is_refused(line: str) -> None:
    assert judge(Level.FULL, shell(line), placed(extract("Don't install anything"))).verdict == "deny"


@pytest.mark.parametrize("line", _lines(NOT_INSTALLING))
def test_what_does_not_install_is_left_alone(line: str) -> None:
    assert judge(Level.FULL, shell(line), placed(extract("Don't install anything"))).verdict == "allow"


@pytest.mark.parametrize(
    "line",
    [
        "$x install y",
        "npm $x y",
        "mytool npm install x",
        "python -c 'import os; os.system(\"pip install x\")'",
        "((x",
    ],
)
def test_what_may_install_is_asked_about(line: str) -> None:
    assert judge(Level.FULL, shell(line), placed(extract("Don't install anything"))).verdict == "ask"


def test_no_rule_allows_what_installs() -> None:
    with pytest.raises(UsageProblem, match="installs"):
        parse_rules(b"[[allow]]\ninstalls = true\n", "bridle.toml")
    [rule] = parse_rules(b"[[deny]]\ninstalls = true\nmatch = 'npm ci'\nnot_match = 'npm test'\n", "bridle.toml")
    assert list(failures([rule])) == []


VOCABULARY = (
    "don't do not never please only no without and , . ; : change touch installing install anything src/ tests/ "
    "the network access commit push outside files `a.py` folder offline leave alone keep \n - * > ``` ' ( ) if"
)
WORDS = st.lists(st.sampled_from(VOCABULARY.split(" ")), max_size=30).map(" ".join)
CALLS = st.sampled_from(
    [
        shell("pip install x"),
        shell("git push; ls"),
        shell("rm -rf ."),
        shell("ls"),
        write("src/a.py"),
        write("tests/a"),
    ]
)


@given(WORDS | st.text(max_size=200), CALLS, st.sampled_from(Level))
@settings(max_examples=300, deadline=None)
def test_what_is_heard_never_allows_anything(text: str, made: Call, level: Level) -> None:
    rules: Any = placed(extract(text))
    assert {each.kind for each in rules} <= {"deny"}
    assert STRICTNESS[judge(level, made, rules).verdict] >= STRICTNESS[judge(level, made).verdict]


def test_a_hostile_text_takes_no_time() -> None:
    for text in (
        "no " * 30_000,
        "don't touch a/" * 5_000,
        "without installing " * 4_000,
        "only change " + "a/" * 30_000,
    ):
        extract(text)
