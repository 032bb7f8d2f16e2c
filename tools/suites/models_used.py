"""A plugin of pytest that notes in the report for which models a test stored or looked for files."""

from __future__ import annotations

import pytest

from .storages import OfModels


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    if OfModels.asked:
        item.user_properties.append(("models", " ".join(sorted(OfModels.asked))))
    OfModels.asked.clear()
