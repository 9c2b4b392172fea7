sed -i 's/    return width \* height/    if width < 0 or height < 0:\n        raise ValueError(width, height)\n    return width * height/' area.py
