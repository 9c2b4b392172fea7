sh "$BRIDLE_SOLUTION"
sed -i 's/self.buffer.text, self.buffer.cursor = step\[side\]/self.buffer.text = step[side][0]; self.buffer.move(len(self.buffer.text))/' editor/session.py
