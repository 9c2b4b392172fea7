"""The events of what a sandbox's commands asked of the network."""

from __future__ import annotations

from typing import Literal

from agent.event import Event


class NetworkRequested(Event):
    """A command asked the way out of a sandbox for a host; recorded before anything is dialled.

    `request` counts the requests of one sandbox. `method` is CONNECT for a tunnel, and empty for what was no
    request at all. `failed` means that the host's name has no address.
    """

    type: Literal["network.requested"] = "network.requested"
    run_id: str
    request: int
    host: str
    port: int
    method: str
    verdict: Literal["allowed", "refused", "failed"]
    why: str = ""


class NetworkFinished(Event):
    """An allowed request is over: bytes sent to the host and received from it, and what went wrong."""

    type: Literal["network.finished"] = "network.finished"
    run_id: str
    request: int
    host: str
    port: int
    method: str
    up: int
    down: int
    seconds: float
    problem: str = ""
