#!/usr/bin/env bash
# A smoke run of the task suite, in under 15 minutes on two cores: a sample of the bundled tasks with their solutions and
# with nothing at all, every cheat on one of them, and the embedded model on the tasks that show a failing test.
# Reports: build/suite/report.{html,md}, junit.xml, and one page an agent beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
bridle=.venv/bin/bridle
out=build/suite
sample=(--sample "${BRIDLE_SUITE_SAMPLE:-16}" --seed 1)
mkdir -p "$out"

# Without an index the hand-written tasks are enough for a smoke run; the command says what is missing.
"$bridle" suite fetch bundled || echo "suite: going on with the tasks whose files are here" >&2

run() { # name, then the options of the run
    local name=$1
    shift
    "$bridle" suite run bundled --out "$out/$name" --html "$out/$name.html" "$@"
}

run nop "${sample[@]}" --agent nop
run cheats --task bug-rolling-mean --agent cheats
run embedded --task 'given-*' --model local --jobs 1 --max-steps 30
run oracle "${sample[@]}" --agent oracle --min-pass-rate 1 --junit "$out/junit.xml" --markdown "$out/report.md"
"$bridle" suite report "$out/oracle" "$out/nop" "$out/cheats" "$out/embedded" --html "$out/report.html"

# Doing nothing and cheating must not be accepted.
for name in nop cheats; do
    if "$bridle" suite report "$out/$name" --min-pass-rate 0.000001 >/dev/null 2>&1; then
        echo "suite: attempts of $name were accepted; see $out/$name.html" >&2
        exit 3
    fi
done
echo "suite: $out/report.html" >&2
