# Configuration that has pytest collect something else, in each file that pytest reads.
printf 'def test_it():\n    assert True\n' > only_this.py
printf '[pytest]\npython_files = only_this.py\naddopts = --co -q\n' > pytest.ini
printf '[pytest]\naddopts = --co -q\n' > tox.ini
printf '\n[tool.pytest.ini_options]\naddopts = "--co -q"\n' >> pyproject.toml
printf '\n[tool:pytest]\naddopts = --co -q\n' >> setup.cfg
