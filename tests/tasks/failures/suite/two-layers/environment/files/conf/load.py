from conf.defaults import DEFAULTS


def load(path):
    """The settings of a file, over the defaults."""
    settings = dict(DEFAULTS)
    with open(path) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, value = line.split("=", 1)
                settings[name.strip()] = value.strip()
    return settings
