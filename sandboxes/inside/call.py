"""One command inside a sandbox: what it wrote, how it is going, and what is told of it."""

from sandboxes.inside.output import Output
from sandboxes.inside.processes import Supervisor
from sandboxes.inside.stream import Stream


class Call:
    """One command under way, or over while background processes of it live on."""

    supervisor: Supervisor

    def __init__(self, number: int, name: bytes, output: Output, deadline: float, oom_before: int) -> None:
        self.number, self.name = number, name
        self.output, self.deadline = output, deadline
        self.feeding = set()  # type: set[int]
        self.oom_before = oom_before
        self.done = False
        self.alone = False
        """Is what it leaves in the background to end with it?"""

    def begun(self, stream: Stream) -> None:
        """The command runs."""

    def take(self, stream: Stream, data: bytes) -> None:
        """It, or what it left in the background, has written something."""
        if self.done:
            self.output.add_to_spill(data)
        else:
            self.output.add(data)

    def fail(self, stream: Stream, text: bytes, code: int) -> None:
        """It could not be started."""
        stream.reply_data(self.number, text)
        stream.reply("exit", self.number, b"", code=code, ending="exited", head=len(text), dropped=0, spilled=0)

    def withdraw(self) -> None:
        """It was refused."""

    def report(self, stream: Stream, code: "int | None", ending: str) -> None:
        """It has ended."""
        head, tail, dropped = self.output.ends()
        stream.reply_data(self.number, head + tail)
        counts = {"head": len(head), "dropped": dropped, "spilled": int(self.output.ok)}
        stream.reply("exit", self.number, b"", code=code, ending=ending, **counts)

    def gone(self, stream: Stream) -> None:
        """Nothing of it lives."""
