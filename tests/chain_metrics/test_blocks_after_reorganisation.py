"""The last blocks, after a reorganisation soon after a first start, are those that a fresh build shows."""

from __future__ import annotations

from pathlib import Path

from shared.views import BlocksView
from support import check
from support.spending import OTHER_SCRIPT, mine
from support.stack import Stack


async def test_no_row_lacks_where_the_chain_is_shorter_than_before(tmp_path: Path) -> None:
    """Fewer blocks with more work, or a branch that was given up: rows below come into the view again."""
    async with Stack(tmp_path) as stack:
        await mine(stack.node, 320)
        await stack.start(*check.LIVE)
        await stack.synced()
        await stack.node.rpc("invalidateblock", await stack.node.rpc("getblockhash", 320 - 29))
        await mine(stack.node, 4, script=OTHER_SCRIPT)
        await stack.synced()
        view = await stack.view(BlocksView)
        assert view is not None
        assert [row.height for row in view.blocks] == list(range(294, 294 - 144, -1))
        await check.equals_fresh_build(stack, tmp_path / "fresh")
