from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from local_run import folder, ports
from local_run.errors import SetupError
from support.each import each


def test_one_run_holds_a_folder(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    with (
        folder.hold(data),
        pytest.raises(SetupError, match=rf"in use by another run \(process {os.getpid()}\)"),
        folder.hold(data),
    ):
        pass
    with folder.hold(data):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SetupError, match=r"DATA_DIR=.*cannot be used .*expected a folder"),
        folder.hold(tmp_path / "file" / "data"),
    ):
        pass


async def test_ports_stay_the_same(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    first = await folder.stable_ports(tmp_path, names)
    assert len(set(first.values())) == 3
    assert await folder.stable_ports(tmp_path, names) == first


async def test_a_port_that_somebody_took_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_PREDECESSOR_SECONDS", 0.1)
    first = await folder.stable_ports(tmp_path, ("one", "two"))
    with socket.create_server(("127.0.0.1", first["one"])):
        second = await folder.stable_ports(tmp_path, ("one", "two"))
    assert second["one"] != first["one"]
    assert second["two"] == first["two"]
    assert json.loads((tmp_path / "ports.json").read_text()) == second


async def test_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert (await folder.stable_ports(tmp_path, ("one",)))["one"]


def test_picked_ports_lie_below_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert each(1024 < port < first for port in ports.pick(50))
