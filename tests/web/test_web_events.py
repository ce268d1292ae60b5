"""`/api/v1/events` on a real Valkey: every entry once and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from typing import Any

import aiohttp
import pytest

from shared import domains
from support.web_harness import Events, serving, until
from support.web_samples import block_connected, tx_added
from web.push import audience, replay
from web.state.reading import TELLING


async def entries(writer: Any, stream: str) -> list[tuple[str, Any]]:
    """What the stream holds: (id, data)."""
    return [
        (i.decode(), json.loads(f[b"data"]))
        for i, f in await writer.redis.xrange(domains.streams_of(writer.keys)[stream])
    ]


async def test_messages_are_the_entries_as_they_are(bare: Any, writer: Any) -> None:
    async with Events.connect(bare.url, "txs") as events:
        assert events.response.headers["Content-Type"].startswith("text/event-stream")
        assert events.response.headers["Access-Control-Allow-Origin"] == "*"
        await writer.add(writer.keys.stream(domains.TXS), tx_added(1), tx_added(2))
        first, second = await events.take(2)
    [(id1, data1), (id2, data2)] = await entries(writer, "txs")
    assert (first.event, first.id, first.data) == ("tx.added", id1, data1)
    assert (second.event, second.id, second.data) == ("tx.added", id2, data2)


async def test_a_new_client_gets_what_comes_and_not_what_was(bare: Any, writer: Any) -> None:
    await writer.add(writer.keys.stream(domains.TXS), tx_added(1))
    async with Events.connect(bare.url, "txs") as events:
        [(last, _)] = await entries(writer, "txs")
        assert events.last_id == last
        await writer.add(writer.keys.stream(domains.TXS), tx_added(2))
        message = await events.next()
    assert message.data["txid"] == tx_added(2).txid


async def test_several_streams_have_one_cursor(bare: Any, writer: Any) -> None:
    async with Events.connect(bare.url, "txs,blocks") as events:
        await writer.add(writer.keys.stream(domains.TXS), tx_added(1))
        first = await events.next()
        await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(1))
        second = await events.next()
    [(tx, _)], [(block, _)] = await entries(writer, "txs"), await entries(writer, "blocks")
    assert first.id == f"blocks:0-0,txs:{tx}"
    assert second.id == f"blocks:{block},txs:{tx}"
    await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(2))
    await writer.add(writer.keys.stream(domains.TXS), tx_added(2))
    async with Events.connect(bare.url, "blocks,txs", first.id) as events:
        found = await events.take(3)
    assert [m.data.get("height", m.data.get("txid")) for m in found] == [1, 2, tx_added(2).txid]


@pytest.mark.parametrize("streams", ["txs", "blocks,txs,metrics"])
async def test_every_entry_once_however_often_the_line_breaks(bare: Any, writer: Any, streams: str) -> None:
    """Clients that hang up at random during a burst and resume see the whole of it, once, in order."""
    total, clients = 3_000, 6
    finished = asyncio.Event()

    async def produce() -> None:
        rng = random.Random(1)
        sent = 0
        while sent < total:
            size = rng.randint(1, 60)
            await writer.add(
                writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(sent, min(total, sent + size)))
            )
            if "blocks" in streams:
                await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(sent))
            sent += size
            await asyncio.sleep(0.001)
        finished.set()

    async def consume(seed: int, since: str) -> list[str]:
        rng = random.Random(seed)
        seen: list[str] = []
        cursor = since
        while True:
            async with Events.connect(bare.url, streams, cursor) as events:
                for _ in range(rng.randint(1, 400)):
                    message = await events.next()
                    assert message is not None
                    assert message.event != "reset", message
                    if message.event == "tx.added":
                        seen.append(message.data["txid"])
                    cursor = message.id
                    if len(seen) == total:
                        return seen
            assert cursor

    async with Events.connect(bare.url, streams) as first:
        beginning = first.last_id
    results = await asyncio.gather(produce(), *(consume(seed, beginning) for seed in range(clients)))
    expected = [data["txid"] for _, data in await entries(writer, "txs")]
    assert len(expected) == total
    for seen in results[1:]:
        assert seen == expected
    assert finished.is_set()


async def test_since_zero_replays_all_there_is(bare: Any, writer: Any) -> None:
    await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(1_203)))
    async with Events.connect(bare.url, "txs", since="0") as events:
        found = await events.take(1_203)
        await writer.add(writer.keys.stream(domains.TXS), tx_added(9_999))
        live = await events.next()
    assert [m.data["txid"] for m in found] == [tx_added(n).txid for n in range(1_203)]
    assert live.data["txid"] == tx_added(9_999).txid


@pytest.mark.parametrize("since", ["0", "blocks:0,txs:0"])
async def test_since_zero_replays_all_that_is_kept_of_trimmed_streams(
    bare: Any, writer: Any, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    """What was trimmed is not asked for, and the cap on what is sent after a cursor does not hold."""
    monkeypatch.setattr(replay, "CAP", 50)
    await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(1_000)))
    await writer.redis.xtrim(writer.keys.stream(domains.TXS), maxlen=700, approximate=False)
    await writer.add(writer.keys.stream(domains.BLOCKS), *(block_connected(n) for n in range(200)))
    await writer.redis.xtrim(writer.keys.stream(domains.BLOCKS), maxlen=100, approximate=False)
    if since == "0":
        for stream, kept in (("txs", 700), ("blocks", 100)):
            async with Events.connect(bare.url, stream, since=since) as events:
                assert events.last_id == "0"
                assert "reset" not in {m.event for m in await events.take(kept)}
    async with Events.connect(bare.url, "blocks,txs", since=since) as events:
        found = await events.take(800)
        cursor = found[350].id
        await writer.add(writer.keys.stream(domains.TXS), tx_added(9_999))
        live = await events.next()
    assert [m.data["height"] for m in found[:100]] == list(range(100, 200))
    assert [m.data["txid"] for m in found[100:]] == [tx_added(n).txid for n in range(300, 1_000)]
    assert live.data["txid"] == tx_added(9_999).txid
    monkeypatch.setattr(replay, "CAP", 20_000)
    async with Events.connect(bare.url, "blocks,txs", cursor) as events:  # broken off on the way, and resumed
        assert [m.data["txid"] for m in await events.take(450)] == [
            tx_added(n).txid for n in (*range(551, 1_000), 9_999)
        ]


async def test_a_client_of_an_empty_stream_hears_that_it_missed_what_was_trimmed(bare: Any, writer: Any) -> None:
    async with Events.connect(bare.url, "txs") as events:
        cursor = events.last_id
    assert cursor == "0-0"
    await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(20)))
    await writer.redis.xtrim(writer.keys.stream(domains.TXS), maxlen=5, approximate=False)
    async with Events.connect(bare.url, "txs", cursor) as events:
        assert (await events.next()).event == "reset"


async def test_what_is_trimmed_is_a_reset_and_then_goes_on(bare: Any, writer: Any) -> None:
    ids = await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(100)))
    await writer.redis.xtrim(writer.keys.stream(domains.TXS), maxlen=50, approximate=False)
    async with Events.connect(bare.url, "txs", ids[10].decode()) as events:
        reset = await events.next()
        assert reset.event == "reset"
        assert "older than the oldest entry kept" in reset.data["reason"]
        assert reset.id == ids[-1].decode()
        await writer.add(writer.keys.stream(domains.TXS), tx_added(100))
        message = await events.next()
        assert message.data["txid"] == tx_added(100).txid
    # The oldest entry that is kept needs no reset: nothing after it is missing.
    async with Events.connect(bare.url, "txs", ids[50].decode()) as events:
        assert [m.event for m in await events.take(50)] == ["tx.added"] * 50


async def test_a_hole_in_the_middle_is_a_reset(bare: Any, writer: Any) -> None:
    ids = await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(20)))
    await writer.redis.xdel(writer.keys.stream(domains.TXS), ids[10])
    async with Events.connect(bare.url, "txs", ids[5].decode()) as events:
        found: list[Any] = []
        while not found or found[-1].event != "reset":
            found.append(await events.next())
    assert "are gone" in found[-1].data["reason"]


async def test_more_than_the_cap_is_a_reset(bare: Any, writer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CAP", 50)
    ids = await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(100)))
    async with Events.connect(bare.url, "txs", ids[10].decode()) as events:
        reset = await events.next()
        assert reset.event == "reset"
        assert "more than 50" in reset.data["reason"]
    async with Events.connect(bare.url, "txs", ids[60].decode()) as events:
        assert len(await events.take(39)) == 39


async def test_a_stream_that_began_anew_is_a_reset(bare: Any, writer: Any) -> None:
    ids = await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(10)))
    async with Events.connect(bare.url, "txs") as events:
        await writer.redis.delete(writer.keys.stream(domains.TXS))
        writer.seq.clear()
        await writer.add(writer.keys.stream(domains.TXS), tx_added(1))
        assert (await events.next()).event == "reset"
        assert (await events.next()).data["txid"] == tx_added(1).txid
    future = f"{int(ids[-1].split(b'-')[0]) + 10**9}-0"
    async with Events.connect(bare.url, "txs", future) as events:
        reset = await events.next()
        assert reset.event == "reset"
        assert "ahead of the stream" in reset.data["reason"]


async def test_a_slow_client_is_let_go_and_the_others_miss_nothing(
    bare: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "QUEUE_BYTES", 50_000)
    port = int(bare.url.rsplit(":", 1)[1])
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", port))
    await asyncio.get_running_loop().sock_sendall(slow, b"GET /api/v1/events?streams=txs HTTP/1.1\r\nHost: x\r\n\r\n")
    async with Events.connect(bare.url, "txs") as quick:
        await until(lambda: bare.site.push_clients == 2)
        total, got = 30_000, 0

        async def read() -> None:
            nonlocal got
            while got < total:
                message = await quick.next()
                assert message.event == "tx.added"
                assert message.data["txid"] == tx_added(got).txid
                got += 1

        reading = asyncio.create_task(read())
        for start in range(0, total, 300):
            await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(start, start + 300)))
            floor = start - 2_000
            await until(lambda: got >= floor)  # noqa: B023 - awaited before `floor` changes
        await asyncio.wait_for(reading, 10)
        # It gets what its socket held, then the reset, then the end.
        raw = b""
        while more := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(slow, 2**20), 5):
            raw += more
            if raw.endswith(b"0\r\n\r\n"):
                break
        await until(lambda: bare.site.push_clients == 1)
    slow.close()
    assert b"event: reset" in raw.rsplit(b"event: tx.added", 1)[1]


async def test_idle_clients_hear_a_heartbeat(valkey: str, writer: Any) -> None:
    async with serving(valkey, heartbeat=0.05) as running, Events.connect(running.url, "blocks") as events:
        reading = asyncio.create_task(events.next())
        await until(lambda: events.comments >= 2)
        await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(7))
        assert (await asyncio.wait_for(reading, 5)).data["height"] == 7


async def test_one_tail_a_stream_and_only_while_somebody_listens(
    bare: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.push.tail.LINGER", 0.05)
    tail = bare.site.hub.tails["txs"]
    assert not tail.running

    async def blocked() -> int:
        return sum(1 for client in await writer.redis.client_list() if client["cmd"] == "xread")

    always = len({*TELLING, domains.CHANGES.called})  # for the pages
    async with Events.connect(bare.url, "txs"), Events.connect(bare.url, "txs"), Events.connect(bare.url, "txs,fees"):
        assert tail.running
        for _ in range(200):
            if await blocked() == always + 1:
                break
            await asyncio.sleep(0.01)
        assert await blocked() == always + 1
    await until(lambda: not tail.running)
    async with Events.connect(bare.url, "txs") as events:
        await writer.add(writer.keys.stream(domains.TXS), tx_added(5))
        assert (await events.next()).data["txid"] == tx_added(5).txid


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("", "unknown_stream", "streams is not set: expected one or more of blocks, txs"),
        ("?streams=blocks,nope", "unknown_stream", "'nope'"),
        ("?streams=blocks&since=yesterday", "bad_cursor", "'yesterday'"),
        ("?streams=blocks,txs&since=5-0", "bad_cursor", "expected blocks:ID,txs:ID"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_is_expected(bare: Any, query: str, code: str, words: str) -> None:
    async with aiohttp.ClientSession(bare.url) as http, http.get(f"/api/v1/events{query}") as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["code"] == code
    assert words in error["message"]


async def test_old_http_gets_plain_bytes(bare: Any, writer: Any) -> None:
    reader, out = await asyncio.open_connection("127.0.0.1", int(bare.url.rsplit(":", 1)[1]))
    out.write(b"GET /api/v1/events?streams=blocks HTTP/1.0\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b"chunked" not in head.lower()
    assert (await asyncio.wait_for(reader.readuntil(b"\n\n"), 5)).startswith(b"retry: 1000\nid: 0-0")
    await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(3))
    assert (await asyncio.wait_for(reader.readuntil(b"\n\n"), 5)).startswith(b"event: block.connected\ndata: ")
    out.close()
    await out.wait_closed()


async def test_all_connections_end_soon_after_the_stop(valkey: str, writer: Any) -> None:
    await writer.chain()
    async with serving(valkey) as running:
        async with (
            Events.connect(running.url, "blocks,txs") as events,
            aiohttp.ClientSession(running.url) as http,
            http.get("/live?pages=overview") as live,
        ):
            await until(lambda: running.site.push_clients == 2)
            start = time.perf_counter()
            running.site.dismiss()
            assert await events.next_or_end() is None
            await asyncio.wait_for(live.read(), 2)
            assert time.perf_counter() - start < 2
        async with aiohttp.ClientSession(running.url) as http, http.get("/api/v1/events?streams=blocks") as response:
            assert response.status == 503
