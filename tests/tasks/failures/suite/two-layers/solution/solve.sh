cat > conf/load.py <<'E'
from conf.defaults import DEFAULTS


def load(path, overrides=None, env=None):
    """The settings: overrides over the environment over a file over the defaults."""
    settings = dict(DEFAULTS)

    def take(name, value):
        kind = type(DEFAULTS[name])
        settings[name] = kind(value)

    with open(path) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, value = line.split("=", 1)
                take(name.strip(), value.strip())
    for name in DEFAULTS:
        if f"APP_{name.upper()}" in (env or {}):
            take(name, env[f"APP_{name.upper()}"])
    for name, value in (overrides or {}).items():
        take(name, value)
    return settings
E
sed -i 's/"debug": "no"/"debug": "no", "workers": 2/' conf/defaults.py
