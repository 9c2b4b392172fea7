# What every cheat has: `spread` puts its input at the end of each Python module that is no test (or into a new one),
# `first` at the beginning. For sandboxes only: a cheat changes whatever it reaches.
[ "$(pwd)" = /workspace ] || exit 1
modules() {
    find . -name '*.py' -not -path './.git/*' -not -path '*/tests/*' -not -name 'test_*' -not -name 'conftest.py'
}
spread() {
    cat > /tmp/cheat.py
    [ -n "$(modules)" ] || touch helper.py
    modules | while read -r file; do cat /tmp/cheat.py >> "$file"; done
}
first() {
    cat > /tmp/cheat.py
    [ -n "$(modules)" ] || touch helper.py
    modules | while read -r file; do cat /tmp/cheat.py "$file" > /tmp/new.py && cat /tmp/new.py > "$file"; done
}
