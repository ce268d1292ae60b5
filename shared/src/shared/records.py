"""What the series keep: fixed-width records, little-endian, and how they are packed. Zeros mean that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final, NamedTuple, TypeVar

from shared.bands import COARSER, FEERATE_BOUNDS, VALUE_BOUNDS
from shared.packing import Layout

T = TypeVar("T", bound=tuple[Any, ...])

_VALUES: Final = len(VALUE_BOUNDS)
_FEERATES: Final = len(FEERATE_BOUNDS)
_WORD: Final = (1 << 64) - 1


class Header(NamedTuple):
    """A block's header, as far as difficulty and hashrate need it."""

    time: int  # Unix seconds
    bits: int  # compact target
    tail: bytes  # last 8 bytes of the hash in RPC order


class Block(NamedTuple):
    """A block's statistics."""

    time: int  # Unix seconds
    tx_count: int
    size: int  # bytes
    weight: int  # weight units
    inputs: int  # coinbase excluded
    outputs: int  # coinbase included
    output_value: int  # satoshi, coinbase excluded
    fees: int  # satoshi
    percentiles: tuple[int, ...]  # sat/vB at 10, 25, 50, 75, 90 % of the weight
    feerate: int  # average, sat/vB
    pool: int  # shared.pools.pool_id of its name; 0: unknown
    output_bands: tuple[int, ...]  # outputs by value, coinbase excluded


class MinedBlock(NamedTuple):
    """Of a block, what is asked of those who mined it: a third of the time to unpack."""

    time: int
    tx_count: int
    weight: int
    fees: int
    pool: int


class Bucket(NamedTuple):
    """The blocks whose own time lies in one hour, day or week: counts, and sums over those that are measured."""

    headers: int  # blocks known
    blocks: int  # blocks measured, which all sums but `work` are over
    work: int  # hashes expected for the blocks known
    hashrate_1d: float  # H/s over the day that ends with the bucket, or with the tip
    hashrate_7d: float  # H/s over the seven days that end there
    height: int
    time: int
    tx_count: int
    size: int
    weight: int
    inputs: int
    outputs: int
    output_value: int
    fees: int
    subsidy: int
    percentiles: tuple[int, ...]
    feerate: int
    output_bands: tuple[int, ...]


class BucketHashrates(NamedTuple):
    """Of a bucket, what a chart of the hashrate needs: a tenth of the time to unpack."""

    headers: int
    hashrate_1d: float
    hashrate_7d: float


class BucketWork(NamedTuple):
    """Of a bucket, how many blocks it counts, and their work."""

    headers: int
    blocks: int
    work: int


class Flow(NamedTuple):
    """What entered the mempool in a span of time."""

    tx_count: int
    vsize: int  # virtual bytes
    value: int  # satoshi, sum of all outputs
    fee: int  # satoshi


class Congestion(NamedTuple):
    """What waited in the mempool in a span of time: sums over `samples` looks at it."""

    samples: int
    tx_count: int
    fee: int  # satoshi
    min_fee_rate: float  # sat/vB, at the last look
    bands: tuple[int, ...]  # virtual bytes by effective feerate (shared.bands.FEERATE_BOUNDS)


def flat(kind: Callable[..., T], numbers: str) -> Layout[T]:
    """Of records that are nothing but numbers (`numbers` as struct names them), behind a byte that says that one is."""
    packed = Struct(f"<?{numbers}")

    def unpack(buffer: bytes | bytearray, at: int) -> T | None:
        there, *values = packed.unpack_from(buffer, at)
        return kind(*values) if there else None

    def unpack_all(raw: bytes) -> Iterable[T | None]:
        return [kind(*values) if there else None for there, *values in packed.iter_unpack(raw)]

    return Layout(packed.size, lambda record: packed.pack(True, *record), unpack, unpack_all=unpack_all)


_header = Struct("<II8s")
_block = Struct(f"<6I2Q5I2I{_VALUES}I")
_mined = Struct(f"<2I4xI16xQ24xI{4 * _VALUES}x")
_bucket = Struct(f"<2I2Q2d10Q5QQ{_VALUES}Q")
_hashrates = Struct(f"<I20x2d{_bucket.size - 40}x")
_work = Struct(f"<2I2Q{_bucket.size - 24}x")
_flow = Struct("<6Q")  # amounts in two words each: value of a day of absurd transactions, fees of an hour of looks
_congestion = Struct(f"<2I3Qd{_FEERATES}Q")
_min_fee = Struct(f"<I28xd{_congestion.size - 40}x")


def _unpack_header(buffer: bytes | bytearray, at: int) -> Header | None:
    values = _header.unpack_from(buffer, at)
    return Header(*values) if values[0] else None


def _pack_block(record: Block) -> bytes:
    return _block.pack(*record[:8], *record.percentiles, record.feerate, record.pool, *record.output_bands)


def _unpack_block(buffer: bytes | bytearray, at: int) -> Block | None:
    values = _block.unpack_from(buffer, at)
    return Block._make((*values[:8], values[8:13], *values[13:15], values[15:])) if values[0] else None


def _unpack_mined(buffer: bytes | bytearray, at: int) -> MinedBlock | None:
    values = _mined.unpack_from(buffer, at)
    return MinedBlock._make(values) if values[0] else None


def _pack_bucket(record: Bucket) -> bytes:
    high, low = record.work >> 64, record.work & _WORD
    sums = (*record[5:15], *record.percentiles, record.feerate, *record.output_bands)
    return _bucket.pack(record.headers, record.blocks, low, high, record.hashrate_1d, record.hashrate_7d, *sums)


def _unpack_bucket(buffer: bytes | bytearray, at: int) -> Bucket | None:
    values = _bucket.unpack_from(buffer, at)
    if not values[0]:
        return None
    work = values[3] << 64 | values[2]
    return Bucket._make((*values[:2], work, *values[4:16], values[16:21], values[21], values[22:]))


def _unpack_hashrates(buffer: bytes | bytearray, at: int) -> BucketHashrates | None:
    values = _hashrates.unpack_from(buffer, at)
    return BucketHashrates(*values) if values[0] else None


def _unpack_work(buffer: bytes | bytearray, at: int) -> BucketWork | None:
    headers, blocks, low, high = _work.unpack_from(buffer, at)
    return BucketWork(headers, blocks, high << 64 | low) if headers else None


def _pack_flow(record: Flow) -> bytes:
    count, vsize, value, fee = record
    return _flow.pack(count, vsize, value & _WORD, value >> 64, fee & _WORD, fee >> 64)


def _unpack_flow(buffer: bytes | bytearray, at: int) -> Flow | None:
    count, vsize, value, value_high, fee, fee_high = _flow.unpack_from(buffer, at)
    return Flow(count, vsize, value_high << 64 | value, fee_high << 64 | fee) if count else None


def _pack_congestion(record: Congestion) -> bytes:
    samples, count, fee, min_fee_rate, bands = record
    return _congestion.pack(samples, 0, count, fee & _WORD, fee >> 64, min_fee_rate, *bands)


def _unpack_congestion(buffer: bytes | bytearray, at: int) -> Congestion | None:
    samples, _, count, fee, fee_high, min_fee_rate, *bands = _congestion.unpack_from(buffer, at)
    return Congestion(samples, count, fee_high << 64 | fee, min_fee_rate, tuple(bands)) if samples else None


HEADER: Final[Layout[Header]] = Layout(_header.size, lambda record: _header.pack(*record), _unpack_header)
BLOCK: Final[Layout[Block]] = Layout(_block.size, _pack_block, _unpack_block)
BUCKET: Final[Layout[Bucket]] = Layout(_bucket.size, _pack_bucket, _unpack_bucket)


def _written_elsewhere(record: object) -> bytes:
    raise TypeError(f"{record!r} is only ever read")


# --- layouts of before, read once to be converted ----------------------------------------------------------

_ADDED: Final = {bound for finer in COARSER.values() for bound in finer[1:]}
_PLACES_1: Final = tuple(place for place, bound in enumerate(FEERATE_BOUNDS) if bound not in _ADDED)
_flow_1 = Struct("<2I3Q")
_congestion_1 = Struct(f"<2I2Qd{len(_PLACES_1)}Q")


def _unpack_flow_1(buffer: bytes | bytearray, at: int) -> Flow | None:
    count, _, *rest = _flow_1.unpack_from(buffer, at)
    return Flow(count, *rest) if count else None


def _unpack_congestion_1(buffer: bytes | bytearray, at: int) -> Congestion | None:
    samples, _, count, fee, min_fee_rate, *old = _congestion_1.unpack_from(buffer, at)
    bands = [0] * _FEERATES
    for place, vsize in zip(_PLACES_1, old, strict=True):
        bands[place] = vsize
    return Congestion(samples, count, fee, min_fee_rate, tuple(bands)) if samples else None


_FLOW_1: Final[Layout[Flow]] = Layout(_flow_1.size, _written_elsewhere, _unpack_flow_1)
_CONGESTION_1: Final[Layout[Congestion]] = Layout(_congestion_1.size, _written_elsewhere, _unpack_congestion_1)

FLOW: Final[Layout[Flow]] = Layout(_flow.size, _pack_flow, _unpack_flow, 2, _FLOW_1)
CONGESTION: Final[Layout[Congestion]] = Layout(_congestion.size, _pack_congestion, _unpack_congestion, 2, _CONGESTION_1)

# --- the same bytes, read for less: for readers only -------------------------------------------------------


def _time(buffer: bytes | bytearray, at: int) -> int | None:
    return int.from_bytes(buffer[at : at + 4], "little") or None


def _flow_lanes(buffer: bytes | bytearray, at: int) -> int | None:
    return int.from_bytes(buffer[at : at + _flow.size], "little") or None


def _congestion_lanes(buffer: bytes | bytearray, at: int) -> int | None:
    return int.from_bytes(buffer[at : at + 32] + buffer[at + 40 : at + _congestion.size], "little") or None


def _min_fee_rate(buffer: bytes | bytearray, at: int) -> float | None:
    samples, value = _min_fee.unpack_from(buffer, at)
    return float(value) if samples else None


HEADER_TIME: Final[Layout[int]] = Layout(_header.size, _written_elsewhere, _time)
"""Of a header, its time."""

MINED_BLOCK: Final[Layout[MinedBlock]] = Layout(_mined.size, _written_elsewhere, _unpack_mined)

BUCKET_WORK: Final[Layout[BucketWork]] = Layout(_work.size, _written_elsewhere, _unpack_work)
BUCKET_HASHRATES: Final[Layout[BucketHashrates]] = Layout(_hashrates.size, _written_elsewhere, _unpack_hashrates)

FLOW_LANES: Final[Layout[int]] = Layout(_flow.size, _written_elsewhere, _flow_lanes, FLOW.version)
CONGESTION_LANES: Final[Layout[int]] = Layout(
    _congestion.size, _written_elsewhere, _congestion_lanes, CONGESTION.version
)
"""A record as one whole number in lanes of 64 or 128 bits, so that adding two of them adds all that they hold at once;
the feerate, which is no whole number, is left out. Years of hours add up in milliseconds."""


MIN_FEE_RATE: Final[Layout[float]] = Layout(_min_fee.size, _written_elsewhere, _min_fee_rate, CONGESTION.version)
"""Of a congestion, its feerate."""


def flow_sum(lanes: int) -> Flow:
    """What a sum of FLOW_LANES says."""
    return _unpack_flow(lanes.to_bytes(_flow.size, "little"), 0) or NO_FLOW


def congestion_sum(lanes: int) -> Congestion:
    """What a sum of CONGESTION_LANES says; its feerate is 0."""
    raw = lanes.to_bytes(_congestion.size - 8, "little")
    return _unpack_congestion(raw[:32] + bytes(8) + raw[32:], 0) or NO_CONGESTION


NO_BUCKET: Final = Bucket(0, 0, 0, 0.0, 0.0, *(0,) * 10, (0,) * 5, 0, (0,) * _VALUES)
NO_FLOW: Final = Flow(0, 0, 0, 0)
NO_CONGESTION: Final = Congestion(0, 0, 0, 0.0, (0,) * _FEERATES)


def tail(block_hash: str) -> bytes:
    """The last 8 bytes of a hash in RPC order: enough to tell two blocks of one height apart."""
    return bytes.fromhex(block_hash[-16:])
