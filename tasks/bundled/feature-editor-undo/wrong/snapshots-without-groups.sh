# undoes each insert alone
sh "$BRIDLE_SOLUTION"
sed -i 's/if plain and self._grows and self._done:/if False:/' editor/session.py
