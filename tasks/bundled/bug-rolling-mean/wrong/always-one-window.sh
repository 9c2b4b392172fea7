sed -i 's/range(len(values) - window)/range(max(1, len(values) - window + 1))/' rolling.py
