"""Answers of the explorer that a test writes itself: web finds them as if somebody had worked on them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from shared.domains import CHANGES
from shared.jobs import Answer
from shared.keys import Keys
from shared.lookups import block
from shared.lookups.parts import Tip
from web.lookups.asking import Lookups

TIP = Tip(height=840_000, hash="ab" * 32, time=1_713_571_767)


async def answered(client: Any, lookups: Lookups, question: str, answer: Any, keys: Keys | None = None) -> None:
    """The question, as it is asked now, has this answer for a minute."""
    written = Answer(status="done", data=msgspec.Raw(msgspec.json.encode(answer)), time_ms=int(time.time() * 1000))
    key = (keys or Keys("main")).answer(CHANGES.slot, lookups.now(question))
    await client.set(key, msgspec.json.encode(written), px=60_000)


def block_found(named: str) -> block.Found:
    """A block of this hash, without transactions."""
    return block.Found(
        hash=named, height=839_999, version=4, prev_hash=None, next_hash=None, merkle_root="cd" * 32,
        time=TIP.time, median_time=TIP.time, bits="17034219", nonce=1, difficulty=1.0, chainwork="ef" * 32, size=285,
        stripped_size=285, weight=1_140, tx_count=1, best=True, subsidy=625_000_000, transactions=[], page=0,
        order="position", tip=TIP, as_of_ms=TIP.time * 1000,
    )  # fmt: skip
