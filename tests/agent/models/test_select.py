"""Names of models, prices and profiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faulty_service import HELLO, FaultyService

from agent.models.prices import Prices, cost, parse_prices
from agent.models.profiles import profile_for
from agent.models.protocol import Message, Request, Usage
from agent.models.select import OPENAI_MODEL, default_model_name, make_model
from agent.outcomes import UsageProblem

ASK = Request(messages=(Message(role="user", content="hi"),))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIDLE_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_model_name() == "local"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert default_model_name() == OPENAI_MODEL
    monkeypatch.setenv("BRIDLE_MODEL", "mine")
    assert default_model_name() == "mine"


def test_no_key_for_openai_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(UsageProblem, match=r"OPENAI_API_KEY.*--model local"):
        make_model("gpt-5-mini")


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x/v1", "http://", "not a url", "http://[bad/v1", "http://x:99999"]
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(UsageProblem, match="base URL"):
        make_model("m", base_url=url)


async def test_a_service_of_ones_own_needs_no_key(faulty: FaultyService, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.scripts = [HELLO, HELLO, HELLO]
    for base_url, key in [(faulty.url, None), (None, None), (faulty.url, "given")]:
        if base_url is None:
            monkeypatch.setenv("OPENAI_BASE_URL", faulty.url)
            monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
        model = make_model("m", base_url=base_url, api_key=key)
        assert (await model.complete(ASK)).text == "Hello"
        await model.close()
    sent = [headers["authorization"] for headers in faulty.headers]
    assert sent == ["bearer none", "bearer from-environment", "bearer given"]


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="missing"):
        make_model(f"replay:{tmp_path / 'missing'}")
    (tmp_path / "damaged").write_text("no\nevents\n")
    with pytest.raises(UsageProblem, match="line 1"):
        make_model(f"replay:{tmp_path / 'damaged'}")


def test_profiles() -> None:
    local, other = profile_for("local"), profile_for("gpt-5-mini")
    assert (local.strategy, local.context_tokens) == ("repair", 8192)
    assert (other.strategy, other.temperature) == ("loop", None)


def test_costs() -> None:
    usage = Usage(input=1_000_000, cached=400_000, output=100_000)
    assert cost(usage, None) is None
    assert cost(usage, parse_prices("1/10")) == pytest.approx(2.0)
    assert cost(usage, parse_prices("1/0.1/10")) == pytest.approx(1.64)


@pytest.mark.parametrize("text", ["", "1", "a/b", "1/2/3/4", "-1/2", "nan/1", "inf/1", "1//2"])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(UsageProblem, match="IN/OUT"):
        parse_prices(text)


TOKENS = st.integers(0, 10**7)
PRICE = st.floats(0, 1000)


@given(TOKENS, TOKENS, TOKENS, PRICE, PRICE, PRICE)
def test_a_cost_is_never_negative_and_adds_up(
    asked: int, cached: int, answered: int, p: float, c: float, q: float
) -> None:
    usage, prices = Usage(input=asked, cached=cached, output=answered), Prices(input=p, cached=c, output=q)
    one = cost(usage, prices)
    assert one is not None
    assert one >= 0
    assert cost(Usage(input=asked * 2, cached=cached * 2, output=answered * 2), prices) == pytest.approx(one * 2)
