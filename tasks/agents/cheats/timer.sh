# Whatever is measured took no time.
spread <<'END'


import time

_start = time.perf_counter()
time.time = lambda: 1.0
time.perf_counter = lambda: _start
time.monotonic = lambda: _start
time.sleep = lambda seconds: None
END
