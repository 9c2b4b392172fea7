"""What a session's sandboxes can reach: asked about where that is everything, and recorded request by request."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from agent.journal import SessionEnded
from agent.network_events import NetworkFinished, NetworkRequested
from agent.session import Session
from sandboxes.network.outside import Asked, Egress, News, Outside
from sandboxes.network.rules import HostRule, Network
from tools.protocol import Effect, Preview

WARNING = (
    "Commands could then reach every host, your own network included, and send there whatever they can read. "
    "What they reach is not recorded. A list of hosts (--allow-host) is safer, and needs no approval."
)


class NetworkDenied(Exception):
    """The whole network was asked for and not granted; `quit` says that the person ended the session."""

    def __init__(self, reason: str, *, quit_now: bool) -> None:
        super().__init__(reason)
        self.quit = quit_now


async def approve(session: Session) -> None:
    """Have the gate rule on a sandbox that reaches everything, where the settings ask for one. Raises
    NetworkDenied.
    """
    if reach_of(session).mode != "full" or session.gate is None:
        return
    ruling = await session.gate.review_network(
        Preview("open the sandbox to the whole network for this session", detail=WARNING)
    )
    if ruling.verdict != "allow":
        raise NetworkDenied(ruling.reason, quit_now=ruling.quit)


def reach_of(session: Session) -> Network:
    """What this session can reach: nothing, once a rule refuses whatever could use the network; of the hosts that
    are listed, those that no rule refuses. A refused host below a listed `*.` is left to the proxy.
    """
    refusing = [placed.rule for placed in session.gate.rules if placed.kind == "deny"] if session.gate else []
    if any(rule.only_effects & {Effect.NETWORK} for rule in refusing):
        return Network()
    found = session.settings.reach
    if found.mode != "allowlist":
        return found
    refused = tuple(dict.fromkeys(host for rule in refusing for host in rule.only_hosts))
    hosts = tuple(host for host in found.hosts if not any(_covers(r, host) for r in refused))
    return replace(found, hosts=hosts, refused=refused)


def _covers(refused: HostRule, listed: HostRule) -> bool:
    """Is every name that is listed refused?"""
    if refused.below:
        return f".{listed.host}".endswith(f".{refused.host}") and (listed.below or listed.host != refused.host)
    return not listed.below and listed.host == refused.host


def reach(session: Session, run_id: str) -> tuple[Network, Egress]:
    """What a sandbox of this session can reach, and how its requests are served and recorded."""
    outside = session.outside or Outside()
    injections = tuple(each.injection() for each in session.settings.inject)
    return reach_of(session), Egress(outside, partial(_record, session, run_id), injections, session.secrets)


def _record(session: Session, run_id: str, news: News) -> None:
    """Journal what became of a request; one that ends with its sandbox, after the session's end, is not added."""
    if session.journal.events and isinstance(session.journal.events[-1], SessionEnded):
        return
    session.record(recorded(run_id, news))


def recorded(run_id: str, news: News) -> NetworkRequested | NetworkFinished:
    """What became of a request, as journals have it."""
    if isinstance(news, Asked):
        return NetworkRequested(
            run_id=run_id,
            request=news.number,
            host=news.host,
            port=news.port,
            method=news.method,
            verdict=news.verdict,
            why=news.why,
        )
    return NetworkFinished(
        run_id=run_id,
        request=news.number,
        host=news.host,
        port=news.port,
        method=news.method,
        up=news.up,
        down=news.down,
        seconds=news.seconds,
        problem=news.problem,
    )
