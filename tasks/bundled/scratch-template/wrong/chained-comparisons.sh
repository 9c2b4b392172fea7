sh "$BRIDLE_SOLUTION"
sed -i 's/            if number == 0:/            if False:/' template.py
