"""Wallets held against Bitcoin Core: the same descriptors give the same addresses, and what it refuses is refused."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from embit import base58, bip32  # type: ignore[import-untyped]  # embit has no types

from explorer.wallet import curve
from explorer.wallet.read import read
from explorer.wallet.refusal import NotAWallet
from local_run.node import RegtestNode
from shared.errors import RpcRefused
from shared.networks import NETWORKS
from shared.scripts.address import write
from shared.scripts.bip380 import checksum

TPUB = bytes.fromhex("043587cf")
INDICES = 3


def key(seed: int) -> str:
    """An extended key of a test network."""
    root = bip32.HDKey.from_seed(hashlib.sha256(bytes([seed])).digest())
    return str(root.derive([0x80000000 + seed, seed]).to_public().to_base58(TPUB))


def public(seed: int) -> str:
    return str(bip32.HDKey.from_seed(hashlib.sha256(b"single" + bytes([seed])).digest()).get_public_key().to_string())


K = [key(seed) for seed in range(20)]
P = [public(seed) for seed in range(20)]
HASH = hashlib.sha256(b"preimage").hexdigest()

GOOD = [
    f"pkh({K[0]}/0/*)",
    f"wpkh([d34db33f/84h/1h/0h]{K[0]}/0/*)",
    f"sh(wpkh({K[1]}/1/*))",
    f"tr({K[2]}/*)",
    f"tr({P[0]})",
    f"rawtr({P[0][2:]})",
    f"wpkh({K[0]}/2147483647/*)",
    f"wpkh({K[0]})",
    f"sh(multi(2,{K[0]}/*,{K[1]}/7/*,{P[1]}))",
    f"sh(multi(15,{','.join(P[:15])}))",
    f"sh(sortedmulti(1,{K[0]}/*,{K[1]}/*))",
    f"wsh(multi(2,{K[0]}/*,{K[1]}/*,{K[2]}/*))",
    f"wsh(sortedmulti(2,{K[0]}/*,{K[1]}/*,{K[2]}/*))",
    f"wsh(multi(17,{','.join(P)}))",
    f"wsh(sortedmulti(20,{','.join(P)}))",
    f"sh(wsh(sortedmulti(2,{K[0]}/0/*,{K[1]}/1/*)))",
    f"wsh(pk({K[0]}/*))",
    f"wsh(pkh({K[0]}/*))",
    f"sh(pk({P[0]}))",
    f"sh(wsh(pkh({K[0]}/*)))",
    # Miniscript: every fragment and wrapper
    f"wsh(and_v(v:pk({K[0]}/*),older(144)))",
    f"wsh(and_v(v:pkh({K[0]}/*),after(500000001)))",
    f"wsh(or_d(pk({K[0]}/*),and_v(v:pk({K[1]}/*),older(65535))))",
    f"wsh(or_d(multi(2,{K[0]}/*,{K[1]}/*),and_v(v:pkh({K[2]}/*),older(4032))))",
    f"wsh(andor(pk({K[0]}/*),older(1008),pk({K[1]}/*)))",
    f"wsh(and_n(pk({K[0]}/*),and_b(pk({K[1]}/*),a:older(16))))",
    f"wsh(and_b(pk({K[0]}/*),s:pk({K[1]}/*)))",
    f"wsh(or_b(pk({K[0]}/*),s:pk({K[1]}/*)))",
    f"wsh(or_i(pk({K[0]}/*),and_v(v:pk({K[1]}/*),older(17))))",
    f"wsh(t:or_c(pk({K[0]}/*),and_v(v:pk({K[1]}/*),or_c(pk({K[2]}/*),v:hash160({HASH[:40]})))))",
    f"wsh(thresh(2,pk({K[0]}/*),s:pk({K[1]}/*),sln:older(127)))",
    f"wsh(thresh(3,pk({K[0]}/*),s:pk({K[1]}/*),a:pk({K[2]}/*),sln:older(32768)))",
    f"wsh(and_v(v:sha256({HASH}),pk({K[0]}/*)))",
    f"wsh(and_v(v:hash256({HASH}),pk({K[0]}/*)))",
    f"wsh(and_v(v:ripemd160({HASH[:40]}),pk({K[0]}/*)))",
    f"wsh(c:and_v(v:after(16),pk_k({K[0]}/*)))",
    f"wsh(c:or_i(pk_k({K[0]}/*),pk_h({K[1]}/*)))",
    f"wsh(and_v(vc:pk_k({K[0]}/*),tv:pk({K[1]}/*)))",
    f"wsh(j:and_v(v:pk({K[0]}/*),pk({K[1]}/*)))",
    f"wsh(or_d(j:and_v(v:pk({K[2]}/*),n:older(9)),pk({K[1]}/*)))",
    f"wsh(and_b(pk({K[0]}/*),al:pk({K[1]}/*)))",
    f"wsh(and_b(pk({K[0]}/*),au:pk({K[1]}/*)))",
    f"wsh(and_v(v:pk({K[0]}/*),dv:older(5)))",
    f"wsh(or_i(0,pk({K[0]}/*)))",
    f"wsh(and_v(v:pk({K[0]}/*),1))",
    f"wsh(andor(pk({K[0]}/*),pk({K[1]}/*),0))",
    f"wsh(and_v(v:multi(1,{K[0]}/*,{K[1]}/*),thresh(1,pkh({K[2]}/*))))",
    f"sh(wsh(and_v(v:pk({K[0]}/*),older(2147483647))))",
    # Taproot's trees
    f"tr({K[0]}/0/*,pk({K[1]}/*))",
    f"tr({K[0]}/*,{{pk({K[1]}/*),{{pkh({K[2]}/*),pk({P[3]})}}}})",
    f"tr({P[0][2:]},{{{{pk({P[1][2:]}),pk({P[2]})}},{{pk({K[3]}/*),and_v(v:pk({K[4]}/*),older(3))}}}})",
    f"tr({K[0]}/*,multi_a(2,{K[1]}/*,{K[2]}/*,{K[3]}/*))",
    f"tr({K[0]}/*,sortedmulti_a(2,{K[1]}/*,{K[2]}/*,{K[3]}/*))",
    f"tr({K[0]}/*,multi_a(17,{','.join(P)}))",
    f"tr({K[0]}/*,sortedmulti_a(18,{','.join(P)}))",
    f"tr({K[0]}/*,and_v(v:multi_a(1,{K[1]}/*,{K[2]}/*),after(700000)))",
]

IN_CORE = [
    # Knots refuses OP_IF in Taproot, Core does not
    f"tr({K[0]}/*,and_b(pk({K[1]}/*),adv:older(2)))",
    f"tr({K[0]}/*,or_d(pk({K[1]}/*),and_v(v:pkh({K[2]}/*),older(36000))))",
]

BAD = [
    "",
    "wpkh()",
    f"wpkh({K[0]}/*",
    f"wpkh({K[0]}/*))",
    f"wpkh({K[0]}/*,{K[1]}/*)",
    f"wpkh({K[0]}//*)",
    f"wpkh({K[0]}/-1/*)",
    f"wpkh({K[0]}/0x1/*)",
    f"wpkh({K[0]}/*/*)",
    f"wpkh({K[0]}/**)",
    f"wpkh({K[0]}/0h/*)",
    f"wpkh({K[0]}/0/*h)",
    f"wpkh({K[0][:-1]}/*)",
    f"wpkh({'02' + 'ff' * 32})",
    f"wpkh(05{P[0][2:]})",
    f"wpkh({P[0][2:]})",
    f"wsh(tr({K[0]}/*))",
    "wsh(raw(00))",
    f"sh(wsh(wpkh({K[0]}/*)))",
    f"sh(sortedmulti(16,{','.join(P[:16])}))",
    f"multi(1,{','.join(P[:4])})",
    f"wsh(multi(0,{K[0]}/*))",
    f"wsh(multi(2,{K[0]}/*))",
    f"wsh(multi(1,{','.join([*P, P[0]])}))",
    "wsh(sortedmulti(1))",
    f"wsh(and_v(v:pk({K[0]}/*),sortedmulti(1,{K[1]}/*)))",
    f"wsh(and_v(pk({K[0]}/*),pk({K[1]}/*)))",
    f"wsh(and_b(pk({K[0]}/*),pk({K[1]}/*)))",
    f"wsh(or_d(older(1),pk({K[1]}/*)))",
    f"wsh(andor(older(1),pk({K[0]}/*),pk({K[1]}/*)))",
    f"wsh(and_n(older(1),pk({K[1]}/*)))",
    f"wsh(andor(and_v(v:pk({K[0]}/*),older(5)),pk({K[1]}/*),pk({K[2]}/*)))",
    f"wsh(andor(and_v(v:pk({K[0]}/*),1),pk({K[1]}/*),pk({K[2]}/*)))",
    f"wsh(and_n(and_v(v:pk({K[0]}/*),1),pk({K[1]}/*)))",
    f"wsh(t:pk({K[0]}/*))",
    f"wsh(v:pk({K[0]}/*))",
    f"wsh(pk_k({K[0]}/*))",
    f"wsh(s:pk({K[0]}/*))",
    f"wsh(x:pk({K[0]}/*))",
    f"wsh(:pk({K[0]}/*))",
    f"wsh(d:pk({K[0]}/*))",
    f"wsh(thresh(3,pk({K[0]}/*),s:pk({K[1]}/*)))",
    f"wsh(thresh(0,pk({K[0]}/*)))",
    f"wsh(and_v(v:pk({K[0]}/*),older(0)))",
    f"wsh(and_v(v:pk({K[0]}/*),older(2147483648)))",
    f"wsh(and_v(v:pk({K[0]}/*),older(-1)))",
    f"wsh(and_v(v:pk({K[0]}/*),sha256({HASH[:40]})))",
    f"wsh(and_v(v:pk({K[0]}/*),multi_a(1,{K[1]}/*)))",
    f"wsh(pkh({'11' * 20}))",
    f"tr({K[0]}/*,multi(1,{K[1]}/*))",
    f"tr({K[0]}/*,{{pk({K[1]}/*)}})",
    f"tr({K[0]}/*,{{pk({K[1]}/*),pk({K[2]}/*)}},pk({K[3]}/*))",
    f"tr({K[0]}/*,wpkh({K[1]}/*))",
    f"tr({K[0]}/*,{{{K[1]}/*,{K[2]}/*}})",
    f"tr({K[0]}/*,and_v(v:pk({K[1]}/*),sortedmulti_a(1,{K[2]}/*)))",
    "raw(0)",
    "raw(xx)",
    "addr(bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu)",
    f"combo(wpkh({K[0]}))",
    f"nothing({K[0]}/*)",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        yield it


async def checked_and_derived(node: RegtestNode, descriptor: str) -> None:
    said = await node.rpc("getdescriptorinfo", descriptor)
    await node.rpc("deriveaddresses", said["descriptor"], *([[0, 1]] if said["isrange"] else []))


async def derived(node: RegtestNode, descriptor: str) -> Any:
    ranged = "*" in descriptor
    said = f"{descriptor}#{checksum(descriptor)}"
    return await node.rpc("deriveaddresses", said, *([[0, INDICES - 1]] if ranged else []))


def ours(descriptor: str) -> list[str | None]:
    (branch,) = read(descriptor, "regtest").branches
    count = INDICES if branch.count is None else 1
    return [write(branch.script(index), NETWORKS["regtest"]) for index in range(count)]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_addresses(node: RegtestNode) -> None:
    differ = {descriptor for descriptor in GOOD if ours(descriptor) != await derived(node, descriptor)}
    assert not differ


@pytest.mark.asyncio(loop_scope="module")
async def test_what_not_every_node_accepts(node: RegtestNode) -> None:
    for descriptor in IN_CORE:
        found = ours(descriptor)
        try:
            assert found == await derived(node, descriptor)
        except RpcRefused as error:
            assert "reduced-data" in str(error)  # noqa: PT017 - another refusal is a failure


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_refused(node: RegtestNode) -> None:
    for descriptor in BAD:
        with pytest.raises(RpcRefused):
            await checked_and_derived(node, descriptor)
    accepted = []
    for descriptor in BAD:
        try:
            accepted.append((descriptor, read(descriptor, "regtest")))
        except NotAWallet:
            continue
    assert not accepted


@pytest.mark.asyncio(loop_scope="module")
async def test_checksums(node: RegtestNode) -> None:
    for descriptor in GOOD:
        said = await node.rpc("getdescriptorinfo", descriptor)
        assert said["checksum"] == checksum(descriptor)


@pytest.mark.asyncio(loop_scope="module")
async def test_multipath(node: RegtestNode) -> None:
    descriptor = f"wsh(sortedmulti(2,{K[0]}/<0;1>/*,{K[1]}/5/<2;3>/*))"
    expected = await derived(node, descriptor)
    receive, change = read(descriptor, "regtest").branches
    found = [[write(b.script(i), NETWORKS["regtest"]) for i in range(INDICES)] for b in (receive, change)]
    assert found == expected
    assert (receive.role, change.role, receive.path(1)) == ("receive", "change", "0/1")


@pytest.mark.asyncio(loop_scope="module")
async def test_plain_keys_of_every_form(node: RegtestNode) -> None:
    """What SLIP-132 writes otherwise is the same key."""
    versions = {"": TPUB, "sh(wpkh)": "044a5262", "wpkh": "045f1cf6"}
    raw = base58.decode_check(K[5])
    for form, outside in (("pkh", "pkh(K)"), ("sh(wpkh)", "sh(wpkh(K))"), ("wpkh", "wpkh(K)"), ("tr", "tr(K)")):
        expected = [await derived(node, outside.replace("K", f"{K[5]}/{step}/*")) for step in (0, 1)]
        written = base58.encode_check(bytes.fromhex(versions[form]) + raw[4:]) if form in ("sh(wpkh)", "wpkh") else K[5]  # type: ignore[arg-type]  # those two are hex
        wallet = read(written, "regtest", form)  # type: ignore[arg-type]  # one of the four
        assert [[write(b.script(i), NETWORKS["regtest"]) for i in range(INDICES)] for b in wallet.branches] == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_random_keys_and_paths(node: RegtestNode) -> None:
    chance = random.Random(7)
    calls, expected = [], []
    for seed in range(60):
        path = "/".join(str(chance.randrange(2**31)) for _ in range(chance.randrange(4)))
        outside = chance.choice(["pkh(K)", "wpkh(K)", "sh(wpkh(K))", "tr(K)", "wsh(pk(K))"])
        descriptor = outside.replace("K", f"{key(seed)}/{path}{'/' if path else ''}*")
        index = chance.randrange(2**31)
        (branch,) = read(descriptor, "regtest").branches
        expected.append([write(branch.script(index), NETWORKS["regtest"])])
        calls.append(("deriveaddresses", (f"{descriptor}#{checksum(descriptor)}", [index, index])))
    assert await node.batch(calls) == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_a_list_of_addresses(node: RegtestNode) -> None:
    texts = [(await derived(node, GOOD[at]))[0] for at in (0, 1, 2, 3, 11)]
    (branch,) = read(", ".join(texts), "regtest").branches
    known = [await node.rpc("validateaddress", text) for text in texts]
    assert [branch.script(at).hex() for at in range(5)] == [one["scriptPubKey"] for one in known]
    assert (branch.form, branch.count, branch.path(0), branch.path(4)) == ("addresses", 5, "1", "5")


def test_a_point_is_not_changed_by_adding_to_it() -> None:
    """libsecp256k1 writes into what it is given; embit gives it a copy."""
    point = curve.parse(bytes.fromhex(P[0]))
    before = bytes(bytearray(point))
    curve.add(point, bytes([1] * 32))
    assert point == before
