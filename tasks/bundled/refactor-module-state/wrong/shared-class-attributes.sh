# state moves from the module into the class, and is shared all the same
sh "$BRIDLE_SOLUTION"
sed -i 's/^class Mailer:/class Mailer:\n    _kept, _none = [], set()\n/; s/_defaults(), \[\], set()/_defaults(), self._kept, self._none/' mailer/mailer.py
