from conf.load import load

__all__ = ["load"]
