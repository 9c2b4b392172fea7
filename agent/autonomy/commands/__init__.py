"""What a shell line runs: its simple commands, those inside other commands, and shapes that they are matched
with.
"""
