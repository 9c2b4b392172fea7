"""What comes out of a sandbox's stream, parsed without trust.

Threat model: everything here was written by something inside the sandbox, in the worst case by the agent. Message
types are fixed, sizes are checked before anything is kept, and whatever does not fit raises ProtocolError and
nothing else. Memory: one frame of at most MAX_HEADER + MAX_BODY bytes, and what one read brought.

Inside the packets of standard output (see `packets`), or in a plain stream by themselves, are our frames: header
length, body length (4 bytes each, big-endian), a JSON header, the body.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sandboxes.channel.packets import OUTPUT, PacketParser, ProtocolError
from sandboxes.protocol import MAX_PROCESSES, FileProblem, ProcessEnding, ProcessProblem

MAX_HEADER = 1 << 16
MAX_BODY = 1 << 18
MAX_NOTES = 4096
SIZE = 4

Count = Annotated[int, Field(ge=0, le=1 << 62)]
Flag = Annotated[int, Field(ge=0, le=1)]


class Message(BaseModel):
    """Base of all messages. `id` is the request it answers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Count


class Ready(Message):
    """The runner is up: its Python's version, whether there is a bash, whether the workspace is empty, whether it
    is another user than the commands."""

    type: Literal["ready"]
    python: Annotated[list[Count], Field(min_length=2, max_length=2)]
    bash: Flag
    empty: Flag
    apart: Flag = 0


class Plain(Message):
    """No Python was started; commands go through the engine's exec. `python`: there is one, but the agent's."""

    type: Literal["plain"]
    bash: Flag
    empty: Flag
    python: Flag = 0


class Live(Message):
    """Some output of a running command as it comes, after `missed` bytes that are not shown live."""

    type: Literal["live"]
    missed: Count


class Data(Message):
    """A part of the reply's bytes."""

    type: Literal["data"]


class Exit(Message):
    """A command has ended. Of the bytes sent before, the first `head` came before `dropped` others."""

    type: Literal["exit"]
    code: Annotated[int, Field(ge=0, le=255)] | None
    ending: Literal["exited", "timeout", "out_of_memory", "disk_full", "cancelled"]
    head: Count
    dropped: Count
    spilled: Flag

    @model_validator(mode="after")
    def _code_or_not(self) -> Self:
        if (self.code is None) != (self.ending in ("timeout", "disk_full", "cancelled")):
            raise ValueError("an exit code of what was killed by the runner, or none of what ended")
        return self


class Done(Message):
    """A file operation succeeded."""

    type: Literal["done"]


class Problem(Message):
    """A request could not be carried out."""

    type: Literal["error"]
    problem: FileProblem
    detail: Annotated[str, Field(max_length=500)]


class ProcessState(BaseModel):
    """What the runner says of a background process; `code` and `ending` are null while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    number: Count
    code: Annotated[int, Field(ge=0, le=255)] | None
    ending: ProcessEnding | None
    total: Count
    milliseconds: Count
    pty: Flag
    log: Flag

    @model_validator(mode="after")
    def _ended_or_not(self) -> Self:
        if (self.code is None) != (self.ending is None):
            raise ValueError("an exit code without an end, or an end without one")
        return self


class Processes(Message):
    """The background processes there are, or the one that was stopped."""

    type: Literal["processes"]
    states: Annotated[list[ProcessState], Field(max_length=MAX_PROCESSES)]


class Part(Message):
    """The bytes sent before are a background process's output from byte `start` on."""

    type: Literal["part"]
    start: Count
    state: ProcessState


class Refused(Message):
    """A request about a background process could not be carried out."""

    type: Literal["refused"]
    reason: ProcessProblem


# Connections of commands to the sandbox's way out. `id` is the number of the connection; see channel/tunnels.py.


class TunnelOpen(Message):
    """A command has connected."""

    type: Literal["tunnel.open"]


class TunnelData(Message):
    """Bytes that a command sent."""

    type: Literal["tunnel.data"]


class TunnelEnd(Message):
    """A command will send nothing more."""

    type: Literal["tunnel.end"]


class TunnelTaken(Message):
    """So many bytes have reached the command."""

    type: Literal["tunnel.taken"]
    bytes: Annotated[int, Field(gt=0, le=1 << 30)]


class TunnelReset(Message):
    """The connection broke off."""

    type: Literal["tunnel.reset"]


Tunnelled = TunnelOpen | TunnelData | TunnelEnd | TunnelTaken | TunnelReset

Replied = Ready | Plain | Live | Data | Exit | Done | Problem | Processes | Part | Refused | Tunnelled
AnyMessage = Annotated[Replied, Field(discriminator="type")]
_MESSAGE: TypeAdapter[Replied] = TypeAdapter(AnyMessage)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message and the bytes that came with it."""

    message: Replied
    body: bytes


class FrameParser:
    """Takes a stream as it comes and hands out frames. After a ProtocolError it is of no more use.

    `packets` says whether the stream is an engine's, wrapped in its packets.
    """

    def __init__(self, *, packets: bool = True) -> None:
        self._packets = PacketParser() if packets else None
        self._buffer = bytearray()
        self.notes = bytearray()
        """The end of what was written to standard error: a runner's last words."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises ProtocolError."""
        frames: list[Frame] = []
        if self._packets is None:
            self._buffer += data
            self._take_frames(frames)
            return frames
        for kind, part in self._packets.feed(data):
            if kind == OUTPUT:
                self._buffer += part
                self._take_frames(frames)
            else:
                self.notes += part
                del self.notes[:-MAX_NOTES]
        return frames

    def _take_frames(self, frames: list[Frame]) -> None:
        while len(self._buffer) >= 2 * SIZE:
            header = int.from_bytes(self._buffer[:SIZE], "big")
            body = int.from_bytes(self._buffer[SIZE : 2 * SIZE], "big")
            if header > MAX_HEADER or body > MAX_BODY:
                raise ProtocolError("a frame is too large")
            start, end = 2 * SIZE + header, 2 * SIZE + header + body
            if len(self._buffer) < end:
                return
            frames.append(Frame(parse_message(self._buffer[2 * SIZE : start]), bytes(self._buffer[start:end])))
            del self._buffer[:end]


def parse_message(header: bytes | bytearray) -> Replied:
    """The message in a frame's header. Raises ProtocolError."""
    try:
        return _MESSAGE.validate_json(header)
    except ValidationError:
        raise ProtocolError("a message is not one of the known ones") from None


def encode(header: dict[str, Any], body: bytes | memoryview = b"") -> bytes:
    """A frame for the runner."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((len(text).to_bytes(SIZE, "big"), len(body).to_bytes(SIZE, "big"), text, body))
