import json
import subprocess
import sys

RECORDS = [{"name": "Ada", "age": 36}, {"name": 'Grace "Amazing", H.', "age": 85}]


def run(tmp_path, *options):
    file = tmp_path / "records.json"
    file.write_text(json.dumps(RECORDS))
    command = [sys.executable, "-m", "report", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_with_a_head():
    from report.export import to_csv

    assert to_csv([{"b": 1, "a": 2}]) == "b,a\n1,2\n"


def test_quotes_and_commas():
    from report.export import to_csv

    assert to_csv(RECORDS) == 'name,age\nAda,36\n"Grace ""Amazing"", H.",85\n'
    assert to_csv([{"text": "two\nlines"}]) == 'text\n"two\nlines"\n'


def test_the_command_writes_csv(tmp_path):
    done = run(tmp_path, "--format", "csv")
    assert done.stdout == 'name,age\nAda,36\n"Grace ""Amazing"", H.",85\n'
    assert done.returncode == 0


def test_the_command_still_writes_text(tmp_path):
    assert run(tmp_path).stdout == 'name=Ada age=36\nname=Grace "Amazing", H. age=85\n'


def test_an_unknown_format_is_refused(tmp_path):
    assert run(tmp_path, "--format", "xml").returncode == 2
    assert run(tmp_path, "--format", "text").returncode == 0
