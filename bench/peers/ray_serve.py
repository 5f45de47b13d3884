"""Ray Serve as a peer: one deployment that calls another, as Ray's own benchmarks do.

Reads lines of JSON, {"what": "echo" | "nothing" | "items" | "take", "width": n, "count": n}, and answers each with
{"ms": how long it took, "us": the time of every call, if width is 1}. The first line that it writes is
{"version": ..., "pids": everything that was started}. Ends with its input. The argument is a directory for Ray's files.

Settings come from the environment: RAY_SERVE_THROUGHPUT_OPTIMIZED=1 also puts the router into the caller's own loop and
user code into the replica's, and then responses are not passed by reference.
"""

import asyncio
import json
import logging
import os
import sys
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

import ray
from ray import serve
from ray_processes import descendants

BEST = os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == "1"
answers = os.fdopen(os.dup(1), "w", buffering=1)
# What Ray prints must not come between the answers.
os.dup2(2, 1)


@serve.deployment(max_ongoing_requests=1_000_000, ray_actor_options={"num_cpus": 0})
class Echo:
    def __init__(self):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)

    async def echo(self, value):
        return value

    async def nothing(self):
        pass

    async def items(self, count):
        for i in range(count):
            yield i

    async def take(self, data):
        return len(data)


@serve.deployment(max_ongoing_requests=100, ray_actor_options={"num_cpus": 0})
class Caller:
    def __init__(self, echo):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        self.echo = echo.options(_by_reference=False) if BEST else echo

    async def run(self, what, width, count):
        times_us = []
        value = {"a": 1, "b": "x"}
        data = bytes(1_048_576) if what == "take" else None
        if what == "echo":
            call = lambda: self.echo.echo.remote(value)
        elif what == "nothing":
            call = lambda: self.echo.nothing.remote()
        elif what == "take":
            call = lambda: self.echo.take.remote(data)
        left = count

        async def worker():
            nonlocal left
            while left > 0:
                left -= 1
                started = time.perf_counter()
                await call()
                if width == 1:
                    times_us.append((time.perf_counter() - started) * 1e6)

        started = time.perf_counter()
        if what == "items":
            got = 0
            async for _ in self.echo.options(stream=True).items.remote(count):
                got += 1
            assert got == count, f"{got} of {count} items came"
        else:
            await asyncio.gather(*[worker() for _ in range(min(width, count))])
        return {"ms": (time.perf_counter() - started) * 1000, "us": times_us}


async def answer_all(handle):
    # In a loop, because a router in the caller's own loop needs one.
    await handle.run.remote("echo", 1, 10)
    print(json.dumps({"version": ray.__version__, "pids": descendants(os.getpid())}), file=answers)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        ask = json.loads(line)
        result = await handle.run.remote(ask["what"], ask["width"], ask["count"])
        print(json.dumps(result), file=answers)


def main():
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=300_000_000,
        _temp_dir=sys.argv[1],
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    try:
        serve.start(http_options={"location": "NoServer"})
        asyncio.run(answer_all(serve.run(Caller.bind(Echo.bind()), route_prefix=None)))
    finally:
        ray.shutdown()


main()
