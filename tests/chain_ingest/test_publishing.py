"""What chain-ingest publishes of a real node: the beginning, each block, what folds ask for; and of which node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from chain_ingest import app, follow
from chain_ingest.answers import ChainInfo, MempoolEntry, MempoolInfo
from chain_ingest.app import run
from chain_ingest.chain import FIRST_BLOCKS
from chain_ingest.hints import Hint, Hints
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node, NodeUnfit
from chain_ingest.statistics import bands
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.bus import Producer
from shared.errors import ConfigError, RpcUnreachable
from shared.lease import Lease
from shared.networks import RETARGET_INTERVAL
from shared.rpc import RpcClient
from support import spending
from support.feed import KEYS, entries
from support.ledger import running, service
from support.stack import until

HEIGHT = FIRST_BLOCKS + 20
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        await spending.mine(it, HEIGHT)
        yield it


async def tip(client: redis.Client) -> str | None:
    """Hash of the block that the stream says is the tip."""
    heights = {int(k): v.decode() for k, v in (await client.hgetall(KEYS.published(domains.BLOCKS))).items()}
    return heights[max(heights)] if heights else None


async def reaches_tip(client: redis.Client, node: RegtestNode) -> None:
    async def same() -> bool:
        best: str = await node.rpc("getbestblockhash")
        return await tip(client) == best

    await until(same, 20, "the node's tip is published")


async def test_the_beginning_holds_the_headers_below_the_first_blocks(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    async with running(server.url, run, "chain-ingest", **node.env()):
        await reaches_tip(connected, node)
    found = await entries(connected, KEYS.stream(domains.BLOCKS))
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
    kind, beginning = found[0][1:]
    best = await node.rpc("getblockcount")
    first = best - FIRST_BLOCKS + 1
    assert kind == "headers.loaded"
    assert beginning["height"] == 0
    assert len(beginning["headers"]) == first < RETARGET_INTERVAL
    hashes = await node.batch([("getblockhash", (height,)) for height in range(best + 1)], kind=str)
    headers = await node.batch([("getblockheader", (one,)) for one in hashes])
    assert beginning["headers"] == [[one["time"], int(one["bits"], 16)] for one in headers[:first]]
    below = headers[first - 1]
    assert (beginning["tip_hash"], beginning["chainwork"]) == (below["hash"], below["chainwork"])
    assert beginning["median_time"] == below["mediantime"]
    assert (beginning["hashes"], beginning["prev_hash"]) == (hashes[:first], "")
    assert [(kind, data["height"], data["hash"]) for _, kind, data in found[1:]] == [
        ("block.connected", height, hashes[height]) for height in range(first, best + 1)
    ]


async def test_a_block_says_what_the_node_says_of_it(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    coins = await spending.fan_out(node, await spending.mined_coins(node, 1), 60)
    async with running(server.url, run, "chain-ingest", **node.env()):
        await reaches_tip(connected, node)
        sent = [spending.build([coin], [coin.value - 200 - 7 * number]) for number, coin in enumerate(coins)]
        await spending.send(node, sent)
        [block_hash] = await spending.mine(node)
        await reaches_tip(connected, node)
    [data] = [
        data for _, _, data in await entries(connected, KEYS.stream(domains.BLOCKS)) if data.get("hash") == block_hash
    ]
    stats = await node.rpc("getblockstats", block_hash)
    block = await node.rpc("getblock", block_hash, 2)
    assert data["tx_count"] == block["nTx"] == 61
    for name in ("size", "weight", "time", "bits", "difficulty", "chainwork"):
        assert data[name] == block[name], name
    assert (data["prev_hash"], data["median_time"]) == (block["previousblockhash"], block["mediantime"])
    assert (data["inputs"], data["outputs"], data["output_value"]) == (stats["ins"], stats["outs"], stats["total_out"])
    assert (data["fees"], data["subsidy"]) == (stats["totalfee"], stats["subsidy"])
    assert data["fees"] == sum(200 + 7 * number for number in range(60))
    assert (data["fee_rate_percentiles"], data["fee_rate_avg"]) == (stats["feerate_percentiles"], stats["avgfeerate"])
    values = {one["txid"]: round(sum(out["value"] for out in one["vout"]) * 1e8) for one in block["tx"][1:]}
    expected = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:50]
    assert [(one["txid"], one["value"]) for one in data["largest"]] == expected
    outputs = [round(out["value"] * 1e8) for one in block["tx"][1:] for out in one["vout"]]
    assert data["output_bands"] == bands(outputs)
    assert sum(data["output_bands"]) == len(outputs) == 60


async def test_a_transaction_says_what_the_node_says_of_it(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    [coin] = (await spending.fan_out(node, await spending.mined_coins(node, 1), 1))[:1]
    parent = spending.build([coin], [coin.value - 300])
    child = spending.build([parent.outputs[0]], [parent.outputs[0].value // 2, 1_000], sequence=0xFFFFFFFF)
    async with running(server.url, run, "chain-ingest", **node.env()):
        await reaches_tip(connected, node)
        await until(lambda: connected.exists(KEYS.stream(domains.TXS)), 10, "the stream has begun")
        await spending.send(node, [parent, child])

        async def both() -> dict[str, Any] | None:
            added = {
                d["txid"]: d for _, kind, d in await entries(connected, KEYS.stream(domains.TXS)) if kind == "tx.added"
            }
            return added if {parent.txid, child.txid} <= added.keys() else None

        added = await until(both, 10, "both are published")
        assert added is not None
        for built in (parent, child):
            entry = await node.rpc("getmempoolentry", built.txid)
            data = added[built.txid]
            assert (data["vsize"], data["weight"], data["time"]) == (entry["vsize"], entry["weight"], entry["time"])
            assert data["fee"] == round(entry["fees"]["base"] * 1e8)
            assert data["ancestor_fee"] == round(entry["fees"]["ancestor"] * 1e8)
            assert data["ancestor_vsize"] == entry["ancestorsize"]
            assert data["parents"] == entry["depends"]
            assert data["replaceable"] == entry["bip125-replaceable"]
            assert data["size"] == len(built.raw) // 2
            assert data["value"] == sum(out.value for out in built.outputs)
    await spending.mine(node)


async def test_a_fee_delta_of_the_node_is_in_the_ancestors_fee_alone(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    """As the page of events says of both."""
    [coin] = (await spending.fan_out(node, await spending.mined_coins(node, 1), 1))[:1]
    parent = spending.build([coin], [coin.value - 300])
    child = spending.build([parent.outputs[0]], [parent.outputs[0].value - 700])
    await node.rpc("prioritisetransaction", parent.txid, 0, 5_000)
    await spending.send(node, [parent, child])
    async with running(server.url, run, "chain-ingest", **node.env()):

        async def both() -> dict[str, Any] | None:
            added = {
                d["txid"]: d for _, kind, d in await entries(connected, KEYS.stream(domains.TXS)) if kind == "tx.added"
            }
            return added if {parent.txid, child.txid} <= added.keys() else None

        added = await until(both, 10, "both are published")
        assert added is not None
        assert [added[built.txid]["fee"] for built in (parent, child)] == [300, 700]
        assert [added[built.txid]["ancestor_fee"] for built in (parent, child)] == [5_300, 6_000]
    await spending.mine(node)


# --- what nodes of other versions say ------------------------------------------------------------------------


async def test_what_the_newest_node_adds_and_drops_does_no_harm() -> None:
    """Recorded of Bitcoin Core 31; what is deprecated there is left out, what may come is added."""
    info = msgspec.json.decode(
        b"""{"loaded": true, "size": 21636, "bytes": 5260824, "usage": 36534496, "total_fee": 0.02524621,
        "maxmempool": 300000000, "mempoolminfee": 1e-06, "minrelaytxfee": 1e-06, "incrementalrelayfee": 1e-06,
        "unbroadcastcount": 0, "permitbaremultisig": true, "maxdatacarriersize": 100000, "limitclustercount": 64,
        "limitclustersize": 101000, "optimal": true, "news": {"of": ["a", "kind"]}}""",
        type=MempoolInfo,
    )
    assert (info.totals, info.min_fee_rate) == ((21636, 5260824, 2524621), 0.1)
    entry = msgspec.json.decode(
        b"""{"vsize": 141, "weight": 561, "time": 1789899404, "height": 967816, "ancestorsize": 141,
        "chunkweight": 561, "fees": {"base": 0.0001974, "ancestor": 0.0001974, "chunk": 0.0001974},
        "depends": [], "spentby": [], "unbroadcast": false}""",
        type=MempoolEntry,
    )
    assert (entry.fee, entry.ancestor_fee, entry.replaceable) == (19740, 19740, True)
    chain = msgspec.json.decode(
        b"""{"chain": "main", "blocks": 967816, "headers": 967816, "bits": "17021ec5", "difficulty": 132757073449487.5,
        "bestblockhash": "000000000000000000019c481c042c0625abe1dc04fe26795e2e24b152791e5f",
        "verificationprogress": 1, "initialblockdownload": false, "pruned": false, "warnings": ["of a list"]}""",
        type=ChainInfo,
    )
    assert chain.pruneheight == 0


# --- requests ----------------------------------------------------------------------------------------------


async def test_requests_of_folds_are_served_and_then_gone(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.3)
    async with running(server.url, run, "chain-ingest", **node.env()):
        await reaches_tip(connected, node)
        await until(lambda: connected.exists(KEYS.stream(domains.TXS)), 10, "the stream has begun")
        for key, stream, kind in (
            (KEYS.resync(domains.BLOCKS), KEYS.stream(domains.BLOCKS), "headers.loaded"),
            (KEYS.resync(domains.TXS), KEYS.stream(domains.TXS), "mempool.reset"),
        ):
            before = len(await entries(connected, stream))
            await connected.set(key, "a test asks")
            await until(lambda key=key: gone(connected, key), 10, "the request is served")  # type: ignore[misc]
            assert kind in [name for _, name, _ in (await entries(connected, stream))[before:]]


async def gone(client: redis.Client, key: str) -> bool:
    return not await client.exists(key)


async def test_a_request_is_not_lost_when_serving_it_fails(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.2)
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.1)
    publish, failures = Producer.publish, 0

    async def failing(self: Producer, events: Any, commands: Any = None) -> None:
        nonlocal failures
        if events[0].TYPE in {"headers.loaded", "mempool.reset"} and self.seq and failures < 2:
            failures += 1
            raise RpcUnreachable("the node is gone just now")
        await publish(self, events, commands)

    async with running(server.url, run, "chain-ingest", **node.env()):
        await reaches_tip(connected, node)
        await until(lambda: connected.exists(KEYS.stream(domains.TXS)), 10, "the stream has begun")
        monkeypatch.setattr(Producer, "publish", failing)
        await connected.set(KEYS.resync(domains.BLOCKS), "a test asks")
        await connected.set(KEYS.resync(domains.TXS), "a test asks")
        for key in (KEYS.resync(domains.BLOCKS), KEYS.resync(domains.TXS)):
            await until(lambda key=key: gone(connected, key), 10, "the request is served all the same")  # type: ignore[misc]
    assert failures == 2
    for stream, kind in ((KEYS.stream(domains.BLOCKS), "headers.loaded"), (KEYS.stream(domains.TXS), "mempool.reset")):
        assert [name for _, name, _ in await entries(connected, stream)].count(kind) == 2


# --- hints -------------------------------------------------------------------------------------------------


async def test_a_transaction_that_leaves_and_comes_back_in_one_breath_is_there(
    node: RegtestNode, connected: redis.Client
) -> None:
    """As when it expires and its wallet sends it again: both hints may be read together."""
    [coin] = (await spending.fan_out(node, await spending.mined_coins(node, 1), 1))[:1]
    built = spending.build([coin], [coin.value - 300])
    await spending.send(node, [built])
    lease = Lease(connected, KEYS.lease("mempool", "chain-ingest"), KEYS.fence("mempool", "chain-ingest"))
    assert await lease.try_acquire()
    follower = MempoolFollower(
        connected,
        KEYS,
        Producer(connected, lease, KEYS.stream(domains.TXS), KEYS.producer(domains.TXS), KEYS.confirmed("mempool")),
    )

    async def beside(done: int, total: int) -> None:
        assert done <= total

    async with RpcClient(node.settings()) as rpc:
        reader = Node(rpc)
        await follower.load()
        contents = await reader.mempool()
        await follower.snapshot(reader, contents, beside)
        sequence = contents.mempool_sequence
        batch = [Hint("R", built.txid, sequence), Hint("A", built.txid, sequence + 1)]
        with contextlib.closing(Hints(())) as hints:
            await follower.handle(reader, hints, batch)
        assert follower.published.totals == (await reader.mempool_info()).totals
    found = [
        kind for _, kind, data in await entries(connected, KEYS.stream(domains.TXS)) if data.get("txid") == built.txid
    ]
    assert found == ["tx.added", "tx.removed", "tx.added"]
    await spending.mine(node)


# --- which node --------------------------------------------------------------------------------------------


async def test_a_node_of_another_network_is_unfit(node: RegtestNode) -> None:
    async with RpcClient(node.settings("spare")) as rpc:
        with pytest.raises(NodeUnfit, match="node spare is on network 'regtest': BITCOIN_NETWORK expects 'main'"):
            await Node(rpc).check("main")
        assert (await Node(rpc).check("regtest")).version >= 220_000


async def test_without_a_node_there_is_nothing_to_do(server: EmbeddedValkey) -> None:
    it = service(server.url, "chain-ingest", NODES="one,two")
    try:
        with pytest.raises(ConfigError, match="expected ONE_RPC_URL or TWO_RPC_URL=http://HOST:PORT"):
            await run(it)
    finally:
        await it.close()


@contextlib.asynccontextmanager
async def node_of_mainnet() -> AsyncIterator[dict[str, str]]:
    """The variables of a node called `main` that answers, but is of another network than ours."""
    info = {
        "chain": "main", "blocks": 1, "headers": 1, "bestblockhash": "00", "initialblockdownload": False,
        "verificationprogress": 1.0,
    }  # fmt: skip

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"result": info, "error": None, "id": (await request.json())["id"]})

    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield {"MAIN_RPC_URL": url, "MAIN_RPC_USER": "u", "MAIN_RPC_PASSWORD": "p"}
    finally:
        await runner.cleanup()


async def test_a_preferred_node_that_is_unfit_does_not_draw_it_away(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, but is of another network: the spare one is followed, and kept."""
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.1)
    begun = 0
    clear = Hints.clear

    async with node_of_mainnet() as other:
        env = {**node.env("SPARE"), **other, "NODES": "main,spare"}

        def counted(self: Hints) -> None:
            nonlocal begun
            begun += 1
            clear(self)

        monkeypatch.setattr(Hints, "clear", counted)
        async with running(server.url, run, "chain-ingest", **env) as it:
            await reaches_tip(connected, node)
            await until(lambda: compared(connected, 8), 20, "several comparisons")
            assert it.health.details["node"] == "spare"
            assert begun <= 2  # a snapshot at the start, and at most one as ZMQ connects


async def compared(client: redis.Client, times: int) -> bool:
    return [kind for _, kind, _ in await entries(client, KEYS.stream(domains.TXS))].count("mempool.synced") >= times
