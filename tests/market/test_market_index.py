"""The price from what sources say: the rule, on plain numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market.book import FRESH_MS, FROZEN_MS, Book
from market.exchange import Said
from market.index import Opinion, judged
from shared.prices import VERDICTS

NOW = 1_790_000_000_000


def said(*prices: float) -> list[Opinion]:
    return [Opinion(name, Decimal(str(price))) for name, price in zip("abcdefg", prices, strict=False)]


@pytest.mark.parametrize(
    ("prices", "price", "agreed", "rejected"),
    [
        ((100, 101, 102), "101", True, ""),
        ((100, 101), "100.5", True, ""),
        ((100,), "100", True, ""),
        ((100, 100, 100, 100, 130), "100", True, "e"),
        ((100, 100.4, 130, 70, 131), "100.2", False, "cde"),  # three of five, in different directions
        ((100, 100, 130, 130, 130), "130", False, "ab"),  # three alike: nobody can tell, and it is said
        ((100, 100, 101, 103), "100", True, "d"),
    ],
)
def test_the_median_of_those_that_agree(prices: tuple[float, ...], price: str, agreed: bool, rejected: str) -> None:
    found = judged(said(*prices), None)
    assert (found.price, found.how, found.agreed) == (Decimal(price), "direct", agreed)
    assert "".join(sorted(name for name, verdict in found.verdicts.items() if verdict != "used")) == rejected


def test_two_that_differ_are_no_price() -> None:
    found = judged(said(100, 103), None)
    assert (found.price, found.agreed) == (None, False)


def test_one_who_stands_alone_is_not_believed_far_from_a_young_price() -> None:
    assert judged(said(115), None, Decimal(100)).price is None
    assert judged(said(109), None, Decimal(100)).price == 109


@pytest.mark.parametrize(
    ("prices", "price", "how", "agreed"),
    [
        ((), "100", "cross", True),
        ((102,), "102", "direct", True),
        ((104,), "100", "cross", False),
        ((104, 101), "101", "direct", False),
        ((101, 102), "101.5", "direct", True),
        ((130, 131, 132), "131", "direct", True),  # enough of them need no referee
    ],
)
def test_few_have_the_cross_as_their_referee(prices: tuple[float, ...], price: str, how: str, agreed: bool) -> None:
    found = judged(said(*prices), Decimal(100))
    assert (found.price, found.how, found.agreed) == (Decimal(price), how, agreed)


def test_what_is_held_against_a_quote_keeps_it_out() -> None:
    found = judged([*said(100, 101, 102), Opinion("late", Decimal(500), "late")], None)
    assert found.price == 101
    assert found.verdicts["late"] == "late"
    assert set(found.verdicts.values()) <= set(VERDICTS)


def verdicts(book: Book, now_ms: int) -> dict[str, str | None]:
    return {one.source: one.held_against for one in book.opinions("USD", now_ms)}


def hear(book: Book, source: str, now_ms: int, time_ms: int | None, price: int = 100) -> bool:
    return book.hear(source, Said("USD", Decimal(price), time_ms), now_ms)


def test_a_quote_grows_old() -> None:
    book = Book()
    assert hear(book, "a", NOW, NOW)
    assert verdicts(book, NOW + FRESH_MS) == {"a": None}
    assert verdicts(book, NOW + FRESH_MS + 1) == {"a": "late"}


def test_who_repeats_himself_is_frozen() -> None:
    book = Book()
    for at in range(NOW, NOW + FROZEN_MS + 2_000, 1_000):
        assert hear(book, "a", at, NOW) == (at == NOW)
        hear(book, "b", at, at)
    assert verdicts(book, at) == {"a": "frozen", "b": None}


def test_one_wrong_clock_among_others() -> None:
    book = Book()
    for source, ahead in (("a", 0), ("b", 1_000), ("c", -600_000), ("d", 600_000), ("e", None)):
        hear(book, source, NOW, None if ahead is None else NOW + ahead)
    wrong = "its clock is wrong"
    assert verdicts(book, NOW) == {"a": None, "b": None, "c": wrong, "d": wrong, "e": None}


def test_where_all_clocks_differ_from_ours_ours_is_wrong() -> None:
    book = Book()
    for source in "abc":
        hear(book, source, NOW, NOW - 900_000)
    assert verdicts(book, NOW) == dict.fromkeys("abc")


def test_a_moment_from_the_future_does_not_last() -> None:
    book = Book()
    hear(book, "a", NOW, NOW + 10**12)
    assert verdicts(book, NOW) == {"a": "its clock is wrong"}
    hear(book, "a", NOW + 1_000, NOW + 1_000)
    assert verdicts(book, NOW + 1_000) == {"a": None}


def test_a_pair_that_is_seldom_traded_is_no_clock() -> None:
    book = Book()
    hear(book, "a", NOW, NOW - 900_000)
    book.hear("a", Said("EUR", Decimal(90), NOW), NOW)
    assert verdicts(book, NOW) == {"a": None}
