"""Events on the wire: what goes in comes out, what is unknown is tolerated, what is missing is told."""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadEntry
from shared.events import backfill, base, blocks, derived, mempool, ops
from shared.events.base import Event, Family, entry_fields

FAMILIES: dict[str, tuple[ModuleType, Family]] = {
    "blocks": (blocks, blocks.BLOCKS),
    "mempool": (mempool, mempool.MEMPOOL),
    "backfill": (backfill, backfill.BACKFILL),
    "metrics": (derived, derived.METRICS),
    "series": (derived, derived.SERIES),
    "fees": (derived, derived.FEES),
    "ops": (ops, ops.OPS),
}


def concrete(module: ModuleType) -> list[type[Event]]:
    return [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Event) and member.TYPE and member.__module__ == module.__name__
    ]


EVENTS = sorted(
    {
        (family, event)
        for module, family in FAMILIES.values()
        for event in concrete(module)
        if event.TYPE in family.types
    },
    key=lambda pair: pair[1].TYPE,
)

number = st.integers(min_value=-(2**63), max_value=2**64 - 1)


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind of field
    """Any value of a field's type."""
    kind = msgspec.inspect.type_info(kind) if not isinstance(kind, msgspec.inspect.Type) else kind
    match kind:
        case msgspec.inspect.IntType(ge=least, le=most):
            return number if least is None else st.integers(min_value=least, max_value=most)
        case msgspec.inspect.FloatType(ge=lowest, le=highest):
            return st.floats(lowest, highest, allow_nan=False, allow_infinity=False)
        case msgspec.inspect.StrType(min_length=shortest, max_length=longest):
            return st.text(min_size=shortest or 0, max_size=longest or 80)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.LiteralType(values=allowed):
            return st.sampled_from(allowed)
        case msgspec.inspect.UnionType(types=kinds):
            return st.one_of([values(one) for one in kinds])
        case msgspec.inspect.ListType(item_type=item, min_length=fewest):
            return st.lists(values(item), min_size=fewest or 0, max_size=5)
        case msgspec.inspect.TupleType(item_types=items):
            return st.tuples(*(values(item) for item in items))
        case msgspec.inspect.StructType(cls=struct):
            return structs(struct)
    raise AssertionError(f"no strategy for {kind}")


def structs(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return st.fixed_dictionaries({field.name: values(field.type) for field in info.fields}).map(
        lambda fields: struct(**fields)
    )


@pytest.mark.parametrize(("family", "event"), EVENTS, ids=lambda it: getattr(it, "TYPE", ""))
@settings(max_examples=15)
@given(data=st.data())
def test_what_is_encoded_is_decoded(family: Family, event: type[Event], data: st.DataObject) -> None:
    original = data.draw(structs(event))
    kind, version, raw = original.fields()
    assert (kind.decode(), int(version)) == (event.TYPE, event.VERSION)
    assert family.decode(kind, raw) == original
    flat = list(entry_fields(original, 17))
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {
        b"type": kind,
        b"v": version,
        b"seq": b"17",
        b"data": raw,
    }


@pytest.mark.parametrize(("family", "event"), EVENTS, ids=lambda it: getattr(it, "TYPE", ""))
@settings(max_examples=15)
@given(data=st.data())
def test_fields_that_a_later_version_adds_are_tolerated(
    family: Family, event: type[Event], data: st.DataObject
) -> None:
    original = data.draw(structs(event))
    known = msgspec.json.decode(original.fields()[2])
    raw = msgspec.json.encode({"added_later": [1, {"a": None}], **known, "another": "x"})
    assert family.decode(event.TYPE.encode(), raw) == original


@pytest.mark.parametrize(("family", "event"), EVENTS, ids=lambda it: getattr(it, "TYPE", ""))
@settings(max_examples=15)
@given(data=st.data())
def test_a_missing_or_wrong_field_is_a_bad_entry(family: Family, event: type[Event], data: st.DataObject) -> None:
    original = data.draw(structs(event))
    known = msgspec.json.decode(original.fields()[2])
    required = [name for name in event.__struct_fields__ if name not in _optional(event)]
    gone = data.draw(st.sampled_from(required))
    for spoilt in ({k: v for k, v in known.items() if k != gone}, {**known, gone: {"no": "such type"}}):
        with pytest.raises(BadEntry) as raised:
            family.decode(event.TYPE.encode(), msgspec.json.encode(spoilt))
        assert event.TYPE in str(raised.value)
        assert gone in str(raised.value)


def _optional(event: type[Event]) -> set[str]:
    info = msgspec.inspect.type_info(event)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.name for field in info.fields if not field.required}


@pytest.mark.parametrize("family", [family for _, family in FAMILIES.values()], ids=list(FAMILIES))
def test_an_unknown_type_is_tolerated(family: Family) -> None:
    assert family.decode(b"of.the.future", b"{}") is None
    assert family.decode(b"\xff\xfe", b"not even json") is None


@given(raw=st.binary(max_size=200))
def test_bytes_that_are_no_event_are_a_bad_entry(raw: bytes) -> None:
    with pytest.raises(BadEntry, match=r"block\.connected"):
        blocks.BLOCKS.decode(b"block.connected", raw)


def test_a_bad_entry_says_how_its_data_begins() -> None:
    with pytest.raises(BadEntry, match=re.escape("""data begins b'{"height": "one" """)) as raised:
        blocks.BLOCKS.decode(b"block.connected", b'{"height": "one"' + b" " * 5_000 + b"}")
    assert len(str(raised.value)) < 400


def test_every_event_belongs_to_a_family() -> None:
    types = [event.TYPE for module in {module for module, _ in FAMILIES.values()} for event in concrete(module)]
    assert len(set(types)) == len(types)
    assert set(types) == {name for _, family in FAMILIES.values() for name in family.types}


def test_events_cannot_be_changed() -> None:
    event = mempool.MempoolReset(cause="x", node="main")
    with pytest.raises(AttributeError):
        event.cause = "y"  # type: ignore[misc]


# --- units -------------------------------------------------------------------------------------------------

UNITS = {
    "fee": r"satoshi|sat",
    "value": r"satoshi|sat",
    "subsidy": r"satoshi",
    "fees": r"satoshi",
    "total_fee": r"satoshi",
    "vsize": r"virtual bytes",
    "size": r"bytes",
    "weight": r"weight units",
    "usage": r"bytes",
    "max_usage": r"bytes",
    "time": r"Unix seconds",
    "min_fee_rate": r"sat/vB",
    "fee_rate_avg": r"sat/vB",
    "chainwork": r"hex",
    "bits": r"hex",
    "ancestor_fee": r"satoshi",
    "ancestor_vsize": r"virtual bytes",
    "output_value": r"satoshi",
}


@pytest.mark.parametrize("module", [blocks, backfill, mempool, derived], ids=lambda module: module.__name__)
def test_amounts_sizes_and_times_say_their_unit(module: ModuleType) -> None:
    source = inspect.getsource(module)
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    unit = UNITS.get(field.target.id)
                    if unit:
                        comment = lines[field.lineno - 1].partition("#")[2]
                        assert re.search(unit, comment), f"{node.name}.{field.target.id} says {comment!r}, not {unit}"


def test_the_form_of_an_entry_is_written_down() -> None:
    assert base.__doc__ is not None
    for word in ("`type`", "`v`", "`seq`", "`data`", "satoshi", "Unix seconds"):
        assert word in base.__doc__
