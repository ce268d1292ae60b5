from __future__ import annotations

import asyncio
import contextlib
import io
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable

import psutil

from local_run import child
from local_run.supervisor import Console, Patience, Program, Supervisor
from support.each import each
from support.stack import until

from .conftest import gone

QUICK = Patience(first_delay=0.02, longest_delay=0.1, healthy_after=60, grace=1)


def python(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-u", "-c", code))


@contextlib.asynccontextmanager
async def running(
    *programs: Program, patience: Patience = QUICK, colour: bool = False
) -> AsyncIterator[Callable[[], list[str]]]:
    """Supervise; yields what gives the lines written so far."""
    out = io.StringIO()
    supervisor = Supervisor(programs, Console(out, colour=colour), patience)
    task = asyncio.create_task(supervisor.run())
    try:
        yield lambda: out.getvalue().splitlines()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def lines_like(lines: Callable[[], list[str]], pattern: str, count: int = 1, limit: float = 10) -> list[str]:
    async def found() -> list[str]:
        matching = [line for line in lines() if re.search(pattern, line)]
        return matching if len(matching) >= count else []

    return await until(found, limit, f"{count} lines like {pattern!r}")


async def test_lines_carry_their_programs_name() -> None:
    stay = "import time; time.sleep(60)"
    async with running(
        python("one", f"print('hello')\n{stay}"),
        python("longer", f"import sys; print('on stderr', file=sys.stderr)\n{stay}"),
    ) as lines:
        await lines_like(lines, "hello")
        await lines_like(lines, "on stderr")
        assert "one    | hello" in lines()
        assert "longer | on stderr" in lines()


async def test_colour_only_round_the_name() -> None:
    async with running(python("one", "print('hello')\nimport time; time.sleep(60)"), colour=True) as lines:
        (line,) = await lines_like(lines, "hello")
    assert line == "\x1b[36mone |\x1b[0m hello"


async def test_lines_of_any_length_and_without_an_end() -> None:
    code = "import sys; sys.stdout.write('a' * 300_000 + '\\n' + 'b\\xff'); sys.stdout.flush()"
    async with running(python("one", code), patience=Patience(first_delay=30)) as lines:
        await lines_like(lines, "ended with code 0")
        assert lines()[:2] == ["one | " + "a" * 300_000, "one | b\xff"]


async def test_a_crashed_program_starts_again_ever_more_slowly() -> None:
    async with running(python("crash", "raise SystemExit(3)")) as lines:
        said = await lines_like(lines, "ended with code 3", count=5)
    delays = [float(re.search(r"again in ([\d.]+) s", line)[1]) for line in said[:5]]  # type: ignore[index]
    assert delays == [0.02, 0.04, 0.08, 0.1, 0.1]


async def test_a_program_that_ran_well_starts_again_at_once() -> None:
    patience = Patience(first_delay=0.02, longest_delay=10, healthy_after=0)
    async with running(python("crash", "raise SystemExit(3)"), patience=patience) as lines:
        said = await lines_like(lines, "again in", count=4)
    assert each(line.endswith("again in 0.02 s") for line in said)


async def test_says_which_signal_killed_it() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    async with running(python("victim", code)) as lines:
        await lines_like(lines, "killed by SIGKILL; starting it again")


async def test_a_program_that_is_not_there_is_said_and_tried_again() -> None:
    async with running(Program("absent", ("/nonexistent/program",))) as lines:
        said = await lines_like(lines, "cannot be started", count=2)
    assert "No such file" in said[0]


async def test_one_crash_leaves_the_others_alone() -> None:
    async with running(
        python("crash", "raise SystemExit(3)"), python("steady", "print('up')\nimport time; time.sleep(60)")
    ) as lines:
        await lines_like(lines, "crash .*ended", count=4)
        assert len([line for line in lines() if "up" in line]) == 1


async def test_stop_lets_programs_finish_and_shows_their_last_words() -> None:
    code = """
import signal, sys, time
def bye(*_):
    time.sleep(0.2); print('bye'); sys.exit(0)
signal.signal(signal.SIGTERM, bye); print('up'); time.sleep(60)
"""
    async with running(python("polite", code)) as lines:
        await lines_like(lines, "up")
    assert lines()[-1] == "polite | bye"


async def test_stop_ends_a_stubborn_program_and_what_it_started() -> None:
    code = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('pid', grandchild.pid); time.sleep(600)
"""
    patience = Patience(grace=0.3)
    async with running(python("stubborn", code), patience=patience) as lines:
        (line,) = await lines_like(lines, "pid")
        grandchild = int(line.split()[-1])
        assert psutil.pid_exists(grandchild)
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < 3
    await gone(grandchild)


RUNNER = """
import asyncio, sys
from local_run.supervisor import Console, Program, Supervisor
code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('pid', os.getpid(), flush=True)"
code += "; time.sleep(600)"
programs = [Program(name, (sys.executable, '-c', code)) for name in ('a', 'b')]
asyncio.run(Supervisor(programs, Console()).run())
"""


async def test_no_orphan_when_the_runner_is_killed() -> None:
    runner = await child.start([sys.executable, "-c", RUNNER], output=asyncio.subprocess.PIPE)
    assert runner.stdout is not None
    said = [await asyncio.wait_for(runner.stdout.readline(), 20) for _ in range(2)]
    pids = [int(line.split()[-1]) for line in said]
    assert each(psutil.pid_exists(pid) for pid in pids)
    runner.send_signal(signal.SIGKILL)
    await runner.communicate()
    await gone(*pids)
