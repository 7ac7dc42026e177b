#!/bin/sh
# A Poisson process has gaps that do not depend on each other. guidellm documents its `poisson` profile as "a Poisson
# process with exponentially distributed inter-arrival times".
#
# guidellm 0.8.1 has ten worker processes unless told otherwise. Each draws its gaps from a generator of its own, all of
# one seed, and adds them to one common clock. So every gap comes ten times in a row: requests come in stretches of ten
# that are evenly spaced, some fast and some slow. `guidellm run --profile kind=poisson,rate=20` with 50 requests has
# five distinct gaps in its report (`targeted_start`), and a server that logs sees them: 51, 1, 16, 13 and 67 ms; those
# 50 requests went out at 35 a second instead of 20. The number of arrivals in a window varies ten times as much as a
# Poisson process's.
#
# This asks guidellm's own strategy for the moments of 50 requests, in ten processes as its scheduler does, without the
# rest of guidellm, whose dependencies are 4 GB.
#
# Prints:
#     guidellm 0.8.1, 10 worker processes: 50 requests, 5 distinct gaps, each 10 times
#     one process: 50 requests, 50 distinct gaps
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pydantic==2.14.3 pydantic-settings==2.16.3 \
    culsans==0.10.0 loguru==0.7.3 msgpack==1.2.4 uvloop==0.23.0
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps guidellm==0.8.1
cat >"$folder/gaps.py" <<'END'
import asyncio
import multiprocessing
import sys
from collections import Counter
from importlib.metadata import version

from guidellm.scheduler.strategies import AsyncPoissonStrategy
from guidellm.settings import settings

REQUESTS, START = 50, 1000.0


async def ask(strategy, count, answers):
    for _ in range(count):
        answers.put(await strategy.next_request_time(0))


def work(strategy, count, answers):
    asyncio.run(ask(strategy, count, answers))


def gaps(processes):
    """Return how often each gap comes, in microseconds, of requests that so many processes plan."""
    context = multiprocessing.get_context("fork")
    strategy = AsyncPoissonStrategy(rate=20)
    strategy.init_processes_timings(processes, 100, context)
    strategy.init_processes_start(START)
    answers = context.SimpleQueue()
    workers = [
        context.Process(target=work, args=(strategy, REQUESTS // processes, answers)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    moments = sorted(answers.get() for _ in range(REQUESTS))
    for worker in workers:
        worker.join()
    before = [START, *moments]
    return Counter(round((after - one) * 1e6) for one, after in zip(before, moments))


many, one = gaps(settings.max_worker_processes), gaps(1)
each = "each 10 times" if set(many.values()) == {10} else f"{sorted(many.values())} times"
print(f"guidellm {version('guidellm')}, {settings.max_worker_processes} worker processes: "
      f"{REQUESTS} requests, {len(many)} distinct gaps, {each}")
print(f"one process: {REQUESTS} requests, {len(one)} distinct gaps")
sys.exit((len(many), set(many.values()), len(one)) != (5, {10}, 50))
END
timeout 120 "$folder/venv/bin/python" "$folder/gaps.py"
