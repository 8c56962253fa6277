"""A test suite in Python: functions marked @test, plain or async, run in their order.

SUITE_ONLY=REGEX runs the first, which sets up, and those whose name matches. A test
that takes longer than half a minute fails.
"""

import asyncio
import inspect
import os
import re
import signal
import sys

_tests = []


def test(function):
    """Its name, with spaces, is the sentence that must hold."""
    _tests.append(function)
    return function


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r:.300}, got {actual!r:.300}")


def finish():
    passed = failed = 0
    signal.signal(signal.SIGALRM, _too_long)
    for function in _tests:
        name = function.__name__.replace("_", " ")
        set_up = function is _tests[0]
        if not set_up and not re.search(os.environ.get("SUITE_ONLY", ""), name):
            continue
        signal.alarm(30)
        try:
            result = function()
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
        except Exception as error:
            failed += 1
            reason = " / ".join(f"{type(error).__name__}: {error}".split("\n"))
            print(f"FAILED - {name}: {reason} ({_place(error)})", flush=True)
        else:
            passed += 1
            print(f"ok - {name}", flush=True)
        finally:
            signal.alarm(0)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


async def _awaited(awaitable):
    await asyncio.wait_for(awaitable, 25)


def _too_long(_signal, _frame):
    raise TimeoutError("took longer than half a minute")


def _place(error):
    """Where in the suite itself, the innermost frame: libraries are left out."""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.endswith("tests.py"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}"
