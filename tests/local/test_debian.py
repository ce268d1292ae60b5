from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local_run import bitcoind, cache, debian
from local_run.errors import SetupError
from support.each import each

WANTED = {"packages": ["hello"], "programs": ["usr/bin/hello"], "suite": "sid"}
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt")


def said_by(program: Path, **env: str) -> str:
    return subprocess.check_output([program], text=True, env={**os.environ, **env}, stderr=subprocess.STDOUT)


def siblings(into: Path) -> list[str]:
    return sorted(path.name for path in into.parent.iterdir())


@needs_apt
async def test_unpacks_once_runs_and_can_be_moved(tmp_path: Path) -> None:
    into = tmp_path / "hello"
    # Two at once: one unpacks, the other waits for it.
    first, second = await asyncio.gather(debian.unpack(**WANTED, into=into), debian.unpack(**WANTED, into=into))  # type: ignore[arg-type]
    assert first == second == {"hello": into / "bin" / "hello"}
    assert said_by(first["hello"]) == "Hello, world!\n"
    assert siblings(into) == ["hello", "hello.lock"]
    made = (into / "bin" / "hello").stat().st_ino
    assert await debian.unpack(**WANTED, into=into) == first  # type: ignore[arg-type]
    assert (into / "bin" / "hello").stat().st_ino == made

    into.rename(tmp_path / "elsewhere")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere" / "bin" / "hello")
    assert said_by(link) == "Hello, world!\n"
    # The libraries are the unpacked ones, not this machine's.
    loaded = said_by(link, LD_DEBUG="libs")
    assert str(tmp_path / "elsewhere" / "root") in loaded


@needs_apt
async def test_what_cannot_be_had_leaves_nothing(tmp_path: Path) -> None:
    outcomes = await asyncio.gather(
        debian.unpack(["no-such-package-at-all"], ["usr/bin/x"], "sid", tmp_path / "a"),
        debian.unpack(["hello"], ["usr/bin/goodbye"], "sid", tmp_path / "b"),
        return_exceptions=True,
    )
    assert each(isinstance(outcome, SetupError) for outcome in outcomes)
    assert "Unable to locate package no-such-package-at-all" in str(outcomes[0])
    assert "no usr/bin/goodbye in hello" in str(outcomes[1])
    assert siblings(tmp_path / "a") == ["a.lock", "b.lock"]


@needs_apt
async def test_an_unsigned_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.gpg"
    empty.touch()
    monkeypatch.setattr(debian, "_KEYRING", empty)
    with pytest.raises(SetupError, match=r"apt-get.* update failed"):
        await debian.unpack(**WANTED, into=tmp_path / "x")  # type: ignore[arg-type]


@needs_apt
async def test_the_archive_is_known_before_the_first_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = await debian._archive()
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::State::Lists "{tmp_path}/no-lists";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    assert await debian._archive() == known


async def test_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BITCOIND", raising=False)
    monkeypatch.setattr(bitcoind, "cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(SetupError, match=r"no bitcoind on the PATH.*there is no apt on this machine"):
        await bitcoind.find_bitcoind()


async def test_a_lock_that_is_held_too_long_is_said(tmp_path: Path) -> None:
    async with cache._locked(tmp_path / "x.lock", 1):
        with pytest.raises(SetupError, match="has been locked by another run"):
            await debian.unpack(**WANTED, into=tmp_path / "x", limit=0.3)  # type: ignore[arg-type]


async def test_bitcoind_named_or_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("named", "on-path"):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "bitcoind"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "on-path"))
    monkeypatch.delenv("BITCOIND", raising=False)
    assert await bitcoind.find_bitcoind() == tmp_path / "on-path" / "bitcoind"
    monkeypatch.setenv("BITCOIND", str(tmp_path / "named" / "bitcoind"))
    assert await bitcoind.find_bitcoind() == tmp_path / "named" / "bitcoind"
    monkeypatch.setenv("BITCOIND", str(tmp_path / "missing"))
    with pytest.raises(SetupError, match=r"BITCOIND is .*missing; expected a program"):
        await bitcoind.find_bitcoind()
