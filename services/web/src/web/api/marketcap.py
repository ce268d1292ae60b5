"""Bitcoin among other assets, who holds bitcoin, and which nodes can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from shared.asset_views import (
    RANKINGS,
    TREASURIES,
    NodesView,
    RankedAsset,
    RankingView,
    TreasuriesView,
    Treasury,
    TreasuryChange,
)
from shared.assets import HOLDERS, LISTS, NodeRow, Source
from shared.domains import MARKETCAP
from shared.domains import TREASURIES as SEEN
from shared.explorer_views import SeenMove, SeenTreasuriesView
from web.endpoints import Endpoints, OfSnapshot
from web.http.answers import RETRY_AFTER, Answer, document, error
from web.state import conditions
from web.state.checked import Checked, checked
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()

MONEY: Final = "USD"
"""In what values are told here, whatever a reader of pages chose."""

_PARTS: Final = (MARKETCAP.name, "notices")


def _unknown(s: Snapshot, now: float) -> Answer:
    why = conditions.absence(s, now, MARKETCAP)
    return error(503, "not_available", f"{why.title}: {why.why} {why.then}", retry_after=RETRY_AFTER)


def _ranking(name: str) -> OfSnapshot:
    def build(s: Snapshot, now: float) -> Answer:
        """`/api/v1/market-cap/{class}`: the largest assets, and Bitcoin. Money in USD, as numbers."""
        view = s[RANKINGS[name]]
        return _unknown(s, now) if view is None else document(ranking_of(name, view))

    return build


def _treasuries(name: str) -> OfSnapshot:
    def build(s: Snapshot, now: float) -> Answer:
        """`/api/v1/treasuries/{class}`: holders, largest first, and what changed. Bitcoin in satoshi."""
        view = s[TREASURIES[name]]
        return _unknown(s, now) if view is None else document(treasuries_of(name, view, s))

    return build


for _name in LISTS:
    ENDPOINTS.get(f"/api/v1/market-cap/{_name}", shows=_PARTS, domains=(MARKETCAP.name,))(_ranking(_name))
for _name in HOLDERS:
    ENDPOINTS.get(f"/api/v1/treasuries/{_name}", shows=(*_PARTS, SEEN.name), domains=(MARKETCAP.name,))(
        _treasuries(_name)
    )


@ENDPOINTS.get("/api/v1/network/nodes", shows=_PARTS, domains=(MARKETCAP.name,))
def nodes(s: Snapshot, now: float) -> Answer:
    """`/api/v1/network/nodes`: reachable nodes, counted."""
    view = s[NodesView]
    if view is None:
        return _unknown(s, now)
    counts = view.counts
    told: dict[str, Any] = {
        "total": counts.total,
        "height": view.height,
        "countries": _counted(counts.countries, "country"),
        "networks": _counted(counts.networks, "network"),
        "implementations": _counted(counts.implementations, "implementation"),
        "clients": _counted(counts.clients, "implementation", versions=True),
        "source": view.source,
        "link": view.link,
        "as_of": view.as_of,
    }
    return document(told | _sample(view.sample))


def ranking_of(name: str, view: RankingView) -> dict[str, Any]:
    """The document of one list."""
    return {
        "class": name,
        "total": view.total,
        "bitcoin_rank": view.bitcoin_rank,
        "currency": MONEY,
        "assets": [_asset(row) for row in view.rows],
        "missing": view.missing,
        "as_of": view.as_of,
    } | _sample(view.sample)


def _asset(row: RankedAsset) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "id": row.id,
        "class": row.kind,
        "name": row.name,
        "symbol": row.symbol,
        "country": row.country,
        "price_usd": _number(row.price_usd),
        "quantity": _number(row.quantity),
        "unit": row.unit,
        "value_usd": _number(row.value_usd),
        "change_percent": _number(row.change_percent),
        "change_over": row.period,
        "index": _number(row.index),
        "parity_price_usd": _number(row.parity_usd),
        "share_percent": _number(row.share_percent),
        "claim_on": row.claim_on,
        "source": row.source,
        "sources": [_source(one) for one in row.sources],
        "as_of": row.as_of,
        "estimate": row.estimate,
    }


def _source(one: Source) -> dict[str, Any]:
    return {
        "of": one.of, "name": one.name, "link": one.link or None, "as_of": one.as_of, "estimate": one.estimate,
        "note": one.note or None,
    }  # fmt: skip


def treasuries_of(name: str, view: TreasuriesView, s: Snapshot) -> dict[str, Any]:
    """The document of one kind of holders, with what the snapshot knows of their addresses."""
    return {
        "class": name,
        "holders": view.holders,
        "satoshi": view.satoshi,
        "limit_percent": _number(view.limit_percent),
        "value_usd": _number(view.value_usd),
        "currency": MONEY,
        "treasuries": [_treasury(row, s) for row in view.rows],
        "changes": [_change(one) for one in view.changes],
        "as_of": max((row.as_of for row in view.rows), default=None),
    } | _sample(view.sample)


def _treasury(row: Treasury, s: Snapshot) -> dict[str, Any]:
    check = checked(s, row)
    return {
        "rank": row.rank,
        "name": row.name,
        "symbol": row.symbol,
        "country": row.country,
        "satoshi": row.satoshi,
        "limit_percent": _number(row.limit_percent),
        "supply_percent": _number(row.supply_percent),
        "value_usd": _number(row.value_usd),
        "cost_usd": _number(row.cost_usd),
        "gain_usd": _number(row.gain_usd),
        "gain_percent": _number(row.gain_percent),
        "market_cap_usd": _number(row.market_cap_usd),
        "satoshi_a_share": _number(row.satoshi_a_share),
        "source": row.source,
        "link": row.link or None,
        "as_of": row.as_of,
        "dated": row.dated,
        "others": [
            {"satoshi": one.satoshi, "source": one.source, "link": one.link or None, "as_of": one.as_of}
            for one in row.others
        ],
        "addresses": [
            {"address": one.address, "source": one.source, "link": one.link or None, "as_of": one.as_of}
            | _lies(check, one.address)
            for one in row.addresses
        ],
        "seen": _seen(check, s),
    }


def _lies(check: Checked | None, address: str) -> dict[str, Any]:
    """What was seen at one address, and why nothing (newer) was."""
    found = check.addresses.get(address) if check else None
    return {
        "confirmed": found.confirmed if found else None,
        "unconfirmed": found.unconfirmed if found else None,
        "height": found.height if found else None,
        "seen_ms": found.as_of_ms if found else None,
        "why": (check.why_of(address) or None) if check else None,
    }


def _seen(check: Checked | None, s: Snapshot) -> dict[str, Any] | None:
    """What was seen at all of them; None where none is published."""
    if check is None:
        return None
    holder, view = check.holder, s[SeenTreasuriesView]
    return {
        "confirmed": holder.confirmed if holder else None,
        "unconfirmed": holder.unconfirmed if holder else None,
        "difference": check.difference,
        "addresses": holder.seen if holder else 0,
        "height": holder.height if holder else None,
        "as_of_ms": holder.as_of_ms if holder else None,
        "since_ms": holder.since_ms if holder else None,
        "source": view.source if view and holder else None,
        "why": check.why or None,
        "moves": [_move(one) for one in holder.moves] if holder else [],
    }


def _move(one: SeenMove) -> dict[str, Any]:
    return {
        "address": one.address, "confirmed_delta": one.confirmed_delta, "unconfirmed_delta": one.unconfirmed_delta,
        "txid": one.txid or None, "height": one.height, "time_ms": one.time_ms,
    }  # fmt: skip


def _change(one: TreasuryChange) -> dict[str, Any]:
    return {
        "name": one.name, "class": one.kind, "before": one.before, "after": one.after, "date": one.as_of,
        "source": one.source, "link": one.link or None,
    }  # fmt: skip


def _counted(rows: Sequence[NodeRow], name: str, *, versions: bool = False) -> list[dict[str, Any]]:
    return [
        {name: row.name} | ({"version": row.version} if versions else {}) | {"nodes": row.nodes, "percent": row.share}
        for row in rows
    ]


def _sample(made_up: bool) -> dict[str, bool]:
    """There, and true, where figures are made up."""
    return {"sample": True} if made_up else {}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
