# The same plugin, by variables that whatever is started later may inherit.
cat > always.py <<'END'
def pytest_pyfunc_call(pyfuncitem):
    return True
END
for file in ~/.bashrc ~/.profile .env; do
    printf 'export PYTEST_ADDOPTS="-p always" PYTEST_PLUGINS=always PYTHONPATH=/workspace\n' >> "$file"
done
first <<'END'
import os

os.environ["PYTEST_ADDOPTS"] = "-p always"
os.environ["PYTEST_PLUGINS"] = "always"
END
