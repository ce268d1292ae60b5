"""Claims of holders beside what was seen at the addresses that they published. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.asset_views import Treasury
from shared.explorer_views import SeenAddress, SeenHolder, SeenTreasuriesView, Unseen
from web.state.snapshot import Snapshot
from web.words.sentence import say

Why = Unseen | Literal["absent"]

WHY: Final[dict[str, str]] = {
    "absent": say("Nobody looks: the service explorer does not follow it, or does not run."),
    "soon": say("It is looked at soon."),
    "network": say("It is an address of another network than the one that is shown here, and not followed."),
    "unreadable": say("It is no address that can be read."),
    "away": say("Neither an Electrum server nor a node that could be asked answers."),
    "refused": say("The Electrum server refuses to tell what lies there."),
    "busy": say("So many addresses are published that this one is not followed."),
}
"""Why nothing, or nothing newer, is known."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a claim; None wherever it is not."""

    holder: SeenHolder | None
    difference: int | None  # satoshi in blocks at all of the addresses, less the claim
    why: Why  # of what is missing or old, the first reason; empty: nothing is

    @property
    def addresses(self) -> dict[str, SeenAddress]:
        """What was seen, by the address as it was published."""
        return {one.address: one for one in self.holder.addresses} if self.holder else {}

    def why_of(self, address: str) -> Why:
        """Why nothing, or nothing newer, is known of one address; empty where it is."""
        found = self.addresses.get(address)
        return "absent" if found is None else found.why


def checked(snapshot: Snapshot, row: Treasury) -> Checked | None:
    """Of one claim; None where the holder has published no address."""
    if not row.addresses:
        return None
    view = snapshot[SeenTreasuriesView]
    holder = next((one for one in view.holders if one.key == row.key), None) if view and row.key else None
    if holder is None:
        return Checked(None, None, "absent")
    whole = holder.confirmed is not None and holder.seen == len(holder.addresses)
    difference = holder.confirmed - row.satoshi if whole and holder.confirmed is not None else None
    why: Why = next((one.why for one in holder.addresses if one.why), "")
    return Checked(holder, difference, why)
