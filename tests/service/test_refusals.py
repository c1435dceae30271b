import asyncio

import pytest

from service import refusals
from service.refusals import Refusals


def test_many_refusals_make_one_line_of_log_with_their_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_SECONDS", 0.05)

    async def refuse() -> None:
        counted = Refusals()
        for burst in (3, 2):
            for _ in range(burst):
                counted.note()
            await asyncio.sleep(0.1)

    asyncio.run(refuse())
    assert [record.getMessage().split()[0] for record in caplog.records] == ["3", "2"]
