"""Fixtures of the models' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.faulty_service import FaultyService


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyService]:
    async with FaultyService() as running:
        yield running
