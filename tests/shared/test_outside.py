"""Whether a source may be asked: budgets of all together, pauses, circuits, wishes, and a record gone wrong."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.errors import OutsideNotNow
from shared.outside import allowance
from shared.outside.allowance import FAILURES, MARGIN, Allowance, Record
from shared.outside.client import _wish
from shared.outside.provider import Limit, Provider
from support.ledger import KEYS
from support.stack import until

NONSENSE = (b"", b"soon", b"-1", b"1e400", b"nan", b"inf", b"0x10", b"9" * 5_000, b"\xff\xfe", b"1.5")


@pytest.fixture(autouse=True)
def on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "LATE_MS", 0)


def provider(*limits: Limit, name: str = "there") -> Provider:
    return Provider(name, "There", "there.example", "https://there.example", limits or (Limit(1_000, 1),))


def record_key(one: Provider) -> str:
    return KEYS.outside_record(one.name)


async def now_ms(client: redis.Client) -> int:
    seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def refused(it: Allowance, one: Provider) -> OutsideNotNow:
    with pytest.raises(OutsideNotNow) as found:
        await it.ask(one)
    return found.value


async def asks(it: Allowance, one: Provider, until_time: float) -> list[tuple[float, float]]:
    """Ask as fast as it goes; whenever it was allowed, the moments between which it was."""
    allowed = []
    while time.monotonic() < until_time:
        began = time.monotonic()
        try:
            await it.ask(one)
        except OutsideNotNow as error:
            await asyncio.sleep(min(error.wait, 0.005))
        else:
            allowed.append((time.monotonic(), began))
    return allowed


@pytest.mark.parametrize("limits", [(Limit(3, 0.3),), (Limit(2, 0.1), Limit(5, 0.6))])
async def test_two_clients_together_never_exceed_any_limit(
    valkey: EmbeddedValkey, client: redis.Client, limits: tuple[Limit, ...]
) -> None:
    other = redis.connect(valkey.url)
    try:
        one = provider(*limits)
        end = time.monotonic() + 1.5
        found = await asyncio.gather(asks(Allowance(client, KEYS), one, end), asks(Allowance(other, KEYS), one, end))
    finally:
        await other.aclose()
    times = sorted(found[0] + found[1])
    for limit in limits:
        spans = [later - sooner for (_, sooner), (later, _) in zip(times, times[limit.requests :], strict=False)]
        assert min(spans) >= limit.seconds
    slowest = limits[-1]
    assert len(times) >= 1.5 / (slowest.seconds * MARGIN) * slowest.requests * 0.7  # and what is allowed is used


async def test_what_is_refused_costs_nothing_and_says_when(client: redis.Client) -> None:
    it, one = Allowance(client, KEYS), provider(Limit(1, 10), Limit(100, 20))
    await it.ask(one)
    first = await refused(it, one)
    assert 10 < first.wait <= 10 * MARGIN
    assert "its budget is spent" in str(first)
    await refused(it, one)
    assert await client.llen(KEYS.outside_asked(one.name)) == 1
    [record] = await it.records([one])
    assert (record.asked, record.answered, record.failed) == (1, 0, 0)
    assert (await client.pttl(KEYS.outside_asked(one.name))) <= 20_000 * MARGIN


async def test_a_budget_holds_though_redis_loses_what_was_counted(client: redis.Client) -> None:
    """Whoever asked knows it himself; another process does not."""
    it, one = Allowance(client, KEYS), provider(Limit(2, 60), Limit(3, 600))
    for _ in range(2):
        await it.ask(one)
    await client.flushall()
    error = await refused(it, one)
    assert 55 < error.wait <= 60 * MARGIN + 0.01
    assert await client.llen(KEYS.outside_asked(one.name)) == 0, "what is refused costs nothing"
    await Allowance(client, KEYS).ask(one)


async def test_a_pause_doubles_and_an_answer_ends_it(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    it, one = Allowance(client, KEYS), provider()
    for nth in range(FAILURES - 1):
        await it.failed(one, "no")
        alone = await refused(it, one)
        assert alone.wait == pytest.approx(2**nth, abs=0.5)
    assert "left alone" in str(alone)
    await it.answered(one)
    await it.ask(one)
    await it.failed(one, "no")
    assert (await refused(it, one)).wait <= 1
    [record] = await it.records([one])
    assert (record.failures, record.failed, record.answered, record.error) == (1, FAILURES, 1, "no")


async def test_pauses_differ_by_half(client: redis.Client) -> None:
    it, waits = Allowance(client, KEYS), []
    for nth in range(20):
        one = provider(name=f"there-{nth}")
        await it.failed(one, "no")
        waits.append((await refused(it, one)).wait)
    assert min(waits) >= 0.45
    assert max(waits) <= 1.5
    assert max(waits) - min(waits) > 0.2


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Circuits that are open for a tenth of a second, and no pauses."""
    script = allowance._FAILED.replace("doubled(1000, 60000,", "doubled(1, 1,").replace("(60000, 900000,", "(100, 900,")
    assert script.count("doubled(1, 1,") == script.count("doubled(100, 900,") == 1
    monkeypatch.setattr(allowance, "_FAILED", script)


@pytest.mark.usefixtures("soon")
async def test_a_circuit_opens_and_its_one_trial_closes_it_or_opens_it_for_longer(client: redis.Client) -> None:
    it, one = Allowance(client, KEYS), provider()
    for _ in range(FAILURES):
        await it.failed(one, "no")
    closed_for = await refused(it, one)
    assert "failed too often" in str(closed_for)
    assert 0 < closed_for.wait <= 0.1
    await asyncio.sleep(0.11)
    await it.ask(one)  # the trial
    nobody_else = await refused(it, one)
    assert nobody_else.wait > 50  # seconds, as long as the trial may take
    await it.failed(one, "still not")
    assert 0.1 < (await refused(it, one)).wait <= 0.2
    await asyncio.sleep(0.21)
    await it.ask(one)
    await it.answered(one)
    for _ in range(3):
        await it.ask(one)
    [record] = await it.records([one])
    assert (record.open_ms, record.failures, record.left_alone_ms) == (0, 0, 0)


@pytest.mark.usefixtures("soon")
async def test_a_trial_that_nobody_tells_of_is_followed_by_another(client: redis.Client) -> None:
    it, one = Allowance(client, KEYS), provider()
    for _ in range(FAILURES):
        await it.failed(one, "no")
    await asyncio.sleep(0.11)
    await it.ask(one)  # and whoever asked was killed
    await client.hset(record_key(one), "trial_ms", await now_ms(client) - 1)
    await it.ask(one)


@pytest.mark.parametrize(("wish", "seconds"), [(30, 30), (10**9, 86_400), (-5, 0), (None, 0)])
async def test_a_wish_is_heeded_up_to_a_day(client: redis.Client, wish: float | None, seconds: float) -> None:
    it, one = Allowance(client, KEYS), provider()
    await it.failed(one, "later", wish)
    assert (await refused(it, one)).wait == pytest.approx(max(seconds, 1), abs=1)


def test_wishes_as_they_are_written() -> None:
    now = 1_800_000_000
    assert _wish({"Retry-After": "120"}) == 120
    assert _wish({"Retry-After": " 7 "}) == 7
    date, later = formatdate(now, usegmt=True), formatdate(now + 90, usegmt=True)
    assert _wish({"Retry-After": later, "Date": date}) == 90
    assert _wish({"Retry-After": date, "Date": later}) == 0
    for silent in ({}, {"Retry-After": later}, {"Retry-After": "soon", "Date": date}, {"Retry-After": "-5"}):
        assert _wish(silent) is None


@given(value=st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,9} [A-Z][a-z]{2} [0-9: +-]{0,20}"))
def test_a_wish_of_nonsense_is_none_or_a_number(value: str) -> None:
    found = _wish({"Retry-After": value, "Date": value})
    assert found is None or found >= 0


# --- Redis' clock, and a record that is not what was written --------------------------------------------------


@pytest.mark.parametrize("back_ms", [1_000, 3_600_000, 10 * 86_400_000])
async def test_a_clock_that_was_set_back_neither_exceeds_the_budget_nor_spends_it(
    client: redis.Client, back_ms: int
) -> None:
    """What was asked is taken for asked just now: the budget that is left stays, and nobody waits for the old clock."""
    it, one = Allowance(client, KEYS), provider(Limit(3, 0.1), Limit(10, 600))
    now = await now_ms(client)
    await client.rpush(KEYS.outside_asked(one.name), *(now + back_ms - age for age in (0, 100, 250, 400)))
    await client.hset(record_key(one), mapping={"asked_ms": now + back_ms, "asked": 4})
    allowed = 0

    async def spent() -> bool:
        nonlocal allowed
        try:
            await it.ask(one)
        except OutsideNotNow as error:
            return error.wait > 1
        allowed += 1
        return False

    await until(spent, 5, "the budget is spent")
    assert allowed == 6  # of ten


async def test_pauses_and_circuits_of_another_clock_end_as_ours_does(client: redis.Client) -> None:
    """No field from the future holds longer than whoever writes it may set it."""
    it, now = Allowance(client, KEYS), await now_ms(client)
    for field, longest in (("open_ms", 900), ("trial_ms", 60), ("left_alone_ms", 86_400)):
        one = provider(name=field)
        fields = {"open_ms": 1, field: now + longest * 1000 + 60_000}
        await client.hset(record_key(one), mapping=fields if field == "trial_ms" else {field: fields[field]})
        await it.ask(one)


async def test_a_pause_is_over_when_the_clock_was_set_back_after_it_began(client: redis.Client) -> None:
    it, one, now = Allowance(client, KEYS), provider(), await now_ms(client)
    fields = {"asked_ms": now + 7_200_000, "left_alone_ms": now + 7_230_000, "error_ms": now + 7_200_100, "failures": 1}
    await client.hset(record_key(one), mapping=fields)
    await it.ask(one)


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_no_field_of_nonsense_stops_anything(client: redis.Client, nonsense: bytes) -> None:
    """Each alone, and all at once."""
    names = [name for name in Record.__struct_fields__ if name != "error"] + ["trial_ms"]
    it = Allowance(client, KEYS)
    for wrong in [[name] for name in names] + [names]:
        one = provider(name="-".join(wrong))
        await client.hset(record_key(one), mapping=dict.fromkeys(wrong, nonsense))
        await it.ask(one)
        await it.answered(one)
        await it.ask(one)
        await it.failed(one, "no")
        await refused(it, one)
        [record] = await it.records([one])
        assert record.asked >= 0
        assert record.failures >= 1


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_times_of_nonsense_count_as_requests(client: redis.Client, nonsense: bytes, place: int) -> None:
    it, one, now = Allowance(client, KEYS), provider(Limit(3, 0.1)), await now_ms(client)
    times: list[Any] = [now - 10, now - 20, now - 30]
    times[place] = nonsense
    await client.rpush(KEYS.outside_asked(one.name), *times)
    found = await refused(it, one)
    assert found.wait <= 0.1 * MARGIN

    async def again() -> bool:
        try:
            await it.ask(one)
        except OutsideNotNow:
            return False
        return True

    await until(again, 1, "it goes on once the span is over")


async def test_a_record_as_it_is_shown(client: redis.Client) -> None:
    it, one = Allowance(client, KEYS), provider()
    assert await it.records([one]) == [Record()]
    assert await it.records([]) == []
    fields: dict[str, Any] = dict.fromkeys(Record.__struct_fields__, b"9" * 5000)
    await client.hset(record_key(one), mapping=fields | {"error": b"\xff" * 10})
    [record] = await it.records([one])
    assert (record.asked, record.open_ms) == (0, 0)
