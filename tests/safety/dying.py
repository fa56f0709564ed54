"""Death of a process before each of its system calls that change files, one after the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

CHANGING = ("pwrite", "write", "replace", "rename", "unlink", "remove", "ftruncate", "truncate")
CHANGING += ("fsync", "fdatasync", "mkdir", "link")


def deaths(action: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> Iterator[str]:
    """Run `action` in one process after the other, each of which dies one call later.

    `before`: done first each time, in this process; without, each finds what the last one left.

    Gives, after each death, what the process was about to do; or, with "half of", what it did by
    half: writes of many bytes are torn, too, where the system might tear them. Ends once a process
    lives. Files are as the dead have left them. Only where there is `os.fork`.
    """
    number = 0
    while True:
        for is_torn in (False, True):
            before()
            name = _killed_at(action, number, is_torn)
            if name is None and not is_torn:
                return
            if name is not None:
                yield f"{'half of ' if is_torn else ''}{name} {number}"
        number += 1


def _killed_at(action: Callable[[], Any], number: int, is_torn: bool) -> str | None:
    """What the process was killed at; None where it was not."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _live(action, number, is_torn, write)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        name = said.read().decode()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return name
    assert os.WEXITSTATUS(status) == 0, f"the process failed: {name}"
    return None


def _live(action: Callable[[], Any], number: int, is_torn: bool, told: int) -> None:
    """The life of the child: never returns."""
    write = os.write
    try:
        _install(number, is_torn, lambda name: write(told, name.encode()))
        action()
        os._exit(0)
    except BaseException as error:
        write(told, repr(error).encode())
        os._exit(1)


def _install(number: int, is_torn: bool, tell: Callable[[str], Any]) -> None:
    """Have the call with that number be the last."""
    calls = 0

    def deadly(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls <= number:
                return real(*args, **options)
            if is_torn:
                half = _half(args) if name in ("pwrite", "write") else None
                if half is None:
                    os._exit(0)  # nothing that could be torn
                real(*half, **options)
            tell(name)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return call

    for name in CHANGING:
        if hasattr(os, name):
            setattr(os, name, deadly(name, getattr(os, name)))


def _half(args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The arguments of a write of half the bytes; the aligned eight of an entry stay whole."""
    size = len(args[1])
    if size < 16:
        return None
    return (args[0], bytes(args[1])[: size // 16 * 8], *args[2:])
