"""What a catalogue has to be like. Agreed with those who print it."""


def problems(catalogue):
    """What is wrong, in words."""
    found = []
    numbers = [entry["number"] for entry in catalogue]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append("numbers have to go from 1 on without a gap")
    titles = [entry["title"] for entry in catalogue]
    if titles != sorted(titles, key=str.casefold):
        found.append("titles have to be sorted, whatever their case")
    for entry in catalogue:
        if not entry["title"] or entry["title"] != " ".join(entry["title"].split()):
            found.append(f"{entry['number']}: space in the title {entry['title']!r}")
        if len(entry["title"]) > 30:
            found.append(f"{entry['number']}: the title is too long")
        if not isinstance(entry["cents"], int) or entry["cents"] <= 0:
            found.append(f"{entry['number']}: no price")
    return found
