"""A thread that gives way does so alone."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.identity.secrets import Passwords
from gateway.process.priority import give_way, put_behind

LOWEST = 19


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_gives_way_and_the_others_do_not() -> None:
    before = niceness()
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        assert pool.submit(niceness).result() == min(before + 10, LOWEST)
    assert before == niceness()


async def test_passwords_are_hashed_by_threads_that_give_way() -> None:
    passwords = Passwords()
    try:
        assert await passwords._run(niceness) == min(niceness() + 10, LOWEST)
    finally:
        passwords.close()


@pytest.mark.parametrize(("behind", "name"), [(True, "cat"), (False, "postgres")])
def test_another_process_is_put_behind_only_if_it_is_the_one_that_is_meant(
    behind: bool, name: str
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["cat"], start_new_session=True, stdin=pipe, stdout=pipe, bufsize=0
    ) as other:
        try:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(b"!")
            assert other.stdout.read(1) == b"!"  # it has its own name by now
            put_behind(other.pid, name)
            assert behind == (os.getpriority(os.PRIO_PROCESS, other.pid) > niceness())
        finally:
            other.kill()
