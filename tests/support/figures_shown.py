"""The figures of a page of a look-up, as a reader has them before him."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from support.markup import words

_FACT = re.compile(r"<div><dt>(.*?)</dt><dd[^>]*>(.*?)</dd></div>", re.DOTALL)
_ROW = re.compile(r'<tr data-key="([^"]*)">(.*?)</tr>', re.DOTALL)
_CELL = re.compile(r'<t[hd][^>]*data-label="([^"]*)"[^>]*>(.*?)</t[hd]>', re.DOTALL)
_END = re.compile(r'<li id="(input|output)-(\d+)"[^>]*>(.*?)</li>', re.DOTALL)
_LINK = re.compile(r'href="([^"]*)"')


class End(NamedTuple):
    """An input or an output of a transaction's page."""

    text: str
    links: list[str]


def btc(satoshi: int) -> str:
    """0.5 BTC."""
    text = f"{Decimal(abs(satoshi)) / 10**8:,.8f}".rstrip("0").rstrip(".")
    return f"{text} BTC"


def change(satoshi: int, written: Callable[[int], str] = btc) -> str:
    """+0.5 BTC."""
    sign = "+" if satoshi > 0 else "−" if satoshi < 0 else ""  # noqa: RUF001 - the minus sign of print
    return sign + written(satoshi)


def digits(satoshi: int) -> str:
    """0.50000000 BTC, as amounts stand in a column."""
    return f"{Decimal(abs(satoshi)) / 10**8:,.8f} BTC"


def facts(html: str) -> dict[str, str]:
    """Name -> words of every fact of a page; the first of a name."""
    found: dict[str, str] = {}
    for name, said in _FACT.findall(html):
        found.setdefault(words(name), words(said))
    return found


def card(html: str, name: str) -> str:
    """One card of a page."""
    _, there, rest = html.partition(f'aria-labelledby="title-{name}"')
    assert there, f"there is no card {name}"
    return rest.partition("</section>")[0]


def rows(html: str) -> dict[str, dict[str, str]]:
    """Key of each row of a table, in order -> label -> words."""
    return {key: {words(label): words(said) for label, said in _CELL.findall(row)} for key, row in _ROW.findall(html)}


def ends(html: str, side: str) -> dict[int, End]:
    """Number of each input, or of each output, of a transaction's page -> what stands there."""
    return {int(number): End(words(row), _LINK.findall(row)) for one, number, row in _END.findall(html) if one == side}


def close(shown: str, value: float) -> bool:
    """Whether a rounded number with its unit stands for the value."""
    number = shown.split(maxsplit=1)[0].replace(",", "")
    decimals = len(number.partition(".")[2])
    return abs(float(number) - value) <= 0.5 * 10.0**-decimals + 1e-9
