"""A look-up that fails in a way that nobody thought of says nothing of what was entered."""

from __future__ import annotations

import traceback
from typing import Any, NoReturn

import pytest
import structlog

from explorer.wallet import answering
from explorer.wallet.answering import LookupFailed, Wallets
from shared import redis
from shared.events.lookups import WalletWanted
from support.explored import KEYS
from support.leaks import Secret
from support.wallet_samples import BIP_84
from support.wallets import SECRET, Asking


async def test_a_failure_says_nothing_of_the_key(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(text: str, *more: Any) -> NoReturn:
        raise ValueError(f"cannot read {text}")

    monkeypatch.setattr(answering, "read", fails)
    nothing: Any = None
    wallets = Wallets(SECRET, nothing, nothing, client, KEYS, "main", lambda: 0, structlog.get_logger())
    asking = Asking(client, BIP_84)
    wanted = WalletWanted(name=asking.sealed.name, sealed=asking.entered)
    with pytest.raises(LookupFailed, match="ValueError in fails") as failed:
        await wallets.look_up(nothing, wanted, lambda: None)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert not Secret(BIP_84).parts_in(told.encode())
