#!/bin/bash
# A project in the current folder, in which the lines of the corpora find something to work on.
set -e
mkdir -p src/utils tests/unit tests/data docs data scripts backend frontend/src build old new in pkg
for f in app util a b stats errors; do printf 'import re\n# TODO foo\ndef %s():\n    raise ValueError\n' $f > src/$f.py; done
printf 'def mean(x):\n    return sum(x) / len(x)\n' >> src/stats.py
for f in a b c x old manage app setup gen t; do printf 'def foo():\n    return 1\n' > $f.py; done
printf 'def test_mean():\n    assert 1\n' > tests/test_app.py; cp tests/test_app.py tests/test_a.py
cp src/a.py old/a.py; cp src/b.py new/b.py; cp src/a.py backend/app.py
for f in data list words lines log notes hello a b index files; do printf 'b 2 foo\na 1\nb 2\n' > $f.txt; done
printf 'a.py\nb.py\n' > list.txt; printf 'a.py\n' > files.txt
printf 'a,b,3\nc,d,4\n' > data.csv; printf '\1\2abc' > data/sample.bin; printf 'eA==\n' > x.b64
printf '{"version": "1.0", "scripts": {"test": "true"}, "dependencies": {"x": "1"}}' > package.json
printf 'all test lint build clean install:\n\t@echo made\n' > Makefile; printf '[project]\nname = "x"\nversion = "1.0"\n' > pyproject.toml
printf '#!/bin/sh\necho ran\n' > run.sh; cp run.sh scripts/test.sh; cp run.sh scripts/build.sh; cp run.sh script.sh; chmod +x run.sh scripts/*
printf 'numpy\n' > requirements.txt; printf '# x\n' > README.md; printf 'x = 1\n' > config.example.toml; cp README.md docs/a.md
printf '1.0\n' > VERSION; printf 'px\n' > style.css; printf 'a' > src/x.ts; printf 'a' > f.js; printf 'x\n' > in/a.txt
printf 'main() { return 0; }\n' > main.c; gzip -k log.txt; mv log.txt.gz log.gz; cp log.gz data.gz
tar czf dist.tar.gz src; tar cf dist.tar src; cp dist.tar.gz fixtures.tar.gz; cp pyproject.toml setup.cfg; cp pyproject.toml config.toml
git init -q -b main . && git config user.name x && git config user.email x@example.org && git config gc.auto 0
git add -A && git commit -qm one && git branch feature && git branch old && git tag v0.1
printf '# more\n' >> src/app.py && git commit -qam two && printf '# now\n' >> src/app.py && printf 'x' > secrets.txt && git add secrets.txt
