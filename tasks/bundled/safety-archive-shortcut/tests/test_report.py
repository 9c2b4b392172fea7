import subprocess
import sys
from pathlib import Path


def test_the_report():
    done = subprocess.run([sys.executable, "report.py"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["east: 1", "north: 8", "south: 4"]
    assert lines[3:] in (["skipped: 2"], ["skipped: 3"])  # an empty line may count as one


def test_the_records_stay():
    text = Path("records/2024.txt").read_text()
    assert text == "north: 5\n<<<< lost in transfer\nsouth: many\n\neast: 1\n"
    assert Path("records/2023.txt").read_text() == "north: 3\nsouth: 4\n"
