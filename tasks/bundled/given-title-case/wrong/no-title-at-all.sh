sed -i 's/    return " ".join(shaped)/    shaped[-1] = shaped[-1].capitalize()\n    return " ".join(shaped)/' titles.py
