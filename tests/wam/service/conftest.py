"""Services for the tests: one with threads for most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wam.cli.conftest import run as run
from tests.wam.service.served import Served, in_threads
from wam.service.kept import PrivateFolder


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with bounds that no test reaches, for all tests that change nothing of it."""
    with in_threads(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture
def folder() -> Iterator[PrivateFolder]:
    made = PrivateFolder()
    yield made
    made.close()
