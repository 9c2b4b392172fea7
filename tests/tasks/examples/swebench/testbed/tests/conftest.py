import pytest


@pytest.fixture
def mark():
    return ","
