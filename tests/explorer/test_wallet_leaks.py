"""The kit that looks for leaks finds those that are planted, and nothing where there is none."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from embit import base58  # type: ignore[import-untyped]  # embit has no types

from shared import redis
from shared.lookups.wallet import Entered
from shared.sealed import Seal, new_handle
from support.each import each
from support.leaks import Secret, in_files, in_redis, in_urls
from support.wallet_samples import BIP_84, BIP_86, KEY, SLIP_49, A, B

RAW = base58.decode_check(BIP_84)
CHAIN_CODE, PUBLIC = RAW[13:45], RAW[45:78]
SECRET = Secret(BIP_84)

PLANTED = {
    "as it was entered, in base64": [base64.b64encode(b'{"text":"' + BIP_84.encode() + b'"}')],
    "as it was entered, in hex": [BIP_84.encode().hex().encode()],
    "as it was entered": [BIP_84.encode(), BIP_84[:12].encode(), BIP_84[50:62].encode(), BIP_84[-12:].encode()],
    "chain code": [CHAIN_CODE, CHAIN_CODE[5:17]],
    "chain code, in hex": [
        CHAIN_CODE.hex().encode(),
        CHAIN_CODE.hex().upper().encode()[10:22],
        CHAIN_CODE[::-1].hex().encode(),
    ],
    "chain code, in base64": [
        base64.b64encode(CHAIN_CODE),
        base64.urlsafe_b64encode(b"x" + CHAIN_CODE),
        base64.b64encode(b"xy" + CHAIN_CODE + b"z"),
    ],
    "public key": [PUBLIC, PUBLIC[1:]],
    "public key, in hex": [PUBLIC.hex().encode(), PUBLIC[1:].hex().encode()[:12]],
    "public key, in base64": [base64.b64encode(PUBLIC), base64.b64encode(RAW)],
}


@pytest.mark.parametrize(("form", "content"), [(form, one) for form, several in PLANTED.items() for one in several])
def test_each_form_is_found(form: str, content: bytes) -> None:
    assert form in SECRET.parts_in(b'{"event": "x", "key": "' + content + b'"}\n')


def test_other_keys_are_no_leak() -> None:
    for other in (BIP_86, SLIP_49, A, B):
        raw = base58.decode_check(other)
        text = f"{other} {raw.hex()} {base64.b64encode(raw).decode()} {'00' * 40} {BIP_84[:11]}"
        assert SECRET.parts_in(text.encode() + raw) == set()


def test_every_key_of_a_descriptor() -> None:
    secret = Secret(f"wsh(sortedmulti(2,[d34db33f/48h/0h/0h/2h]{A}/<0;1>/*,{B}/0/*,{KEY}))#00000000")
    assert secret.parts_in(A[40:60].encode())
    assert secret.parts_in(base58.decode_check(B)[13:45].hex().encode())
    assert secret.parts_in(KEY.encode()[8:30])
    assert secret.parts_in(bytes.fromhex(KEY))
    assert not secret.parts_in(b"wsh(sortedmulti(2,[")


def test_a_text_without_keys() -> None:
    words = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"
    assert Secret(words).parts_in(f"entered: {words[-14:]}".encode())
    assert not Secret("short").parts_in(b"short")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    clean, leaky, binary = tmp_path / "clean.log", tmp_path / "below" / "leaky.log", tmp_path / "appendonly.aof"
    clean.write_text("nothing\n" * 1_000)
    leaky.write_text("nothing\n" * 1_000 + f"entered {BIP_84[30:45]}\n")
    binary.write_bytes(bytes(100_000) + CHAIN_CODE)
    assert in_files(SECRET, [tmp_path]) == {str(leaky): {"as it was entered"}, str(binary): {"chain code"}}
    assert in_files(SECRET, [clean]) == {}


def test_urls() -> None:
    urls = [
        "/wallet",
        f"/wallet/{new_handle()}",
        f"/search?q={BIP_84}",
        "/x?k=" + quote(base64.b64encode(PUBLIC), safe=""),
    ]
    assert list(in_urls(SECRET, urls)) == urls[2:]
    assert list(in_urls(SECRET, ["/" + "".join(f"%{byte:02x}" for byte in BIP_84[:20].encode())]))


async def test_redis_of_all_types(client: redis.Client) -> None:
    part = BIP_84[20:40]
    await client.set(f"key:{part}", 1)
    await client.set("string", f"... {part} ...")
    await client.hset("field", part, 1)
    await client.hset("value", "a", PUBLIC.hex())
    await client.rpush("list", "x", CHAIN_CODE)
    await client.sadd("set", "x", part)
    await client.zadd("sorted", {part: 1})
    await client.xadd("stream", {"data": base64.b64encode(CHAIN_CODE)})
    await client.xadd("name", {part: "x"})
    planted = {f"key:{part}", "string", "field", "value", "list", "set", "sorted", "stream", "name"}
    await client.set("clean", "x" * 1_000)
    await client.hset("clean hash", "a", "b")
    found = await in_redis(SECRET, client)
    assert {eval(key).decode() for key in found} == planted  # noqa: S307 - our own repr
    assert each(found.values())


async def test_what_is_sealed_is_no_leak(client: redis.Client) -> None:
    """And what is only packed would be one."""
    seal, handle = Seal("a secret of this test, with 40 characters"), new_handle()
    entered = Entered(text=BIP_84)
    packed = msgspec.json.encode(entered)
    assert not SECRET.parts_in(repr(entered).encode())
    closed = seal.seal(packed, about="entered", until_ms=2**41)
    await client.set(f"wallet:{seal.name(handle)}", closed)
    assert await in_redis(SECRET, client) == {}
    assert await in_redis(Secret(handle), client) == {}
    await client.set("packed", base64.b64encode(packed))
    assert await in_redis(Secret(handle), client) == {}
    assert await in_redis(SECRET, client) == {"b'packed'": {"as it was entered, in base64"}}
