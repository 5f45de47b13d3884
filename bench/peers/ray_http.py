"""Ray Serve's HTTP as a peer: one deployment that answers with a small text.

The first line that it writes is {"version": ..., "pids": everything that was started}. Ends with its input. The arguments are
a directory for Ray's files and a port; if the replica itself listens, it does at the next one.

Settings come from the environment: RAY_SERVE_THROUGHPUT_OPTIMIZED=1 lets the replica listen too, and with
RAY_SERVE_ENABLE_HA_PROXY=1 an HAProxy is at the port instead of Ray's own proxy.
"""

import json
import logging
import os
import sys
import time
import urllib.request

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")
PORT = int(sys.argv[2])
# Read while Ray is imported.
os.environ["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"] = str(PORT + 1)
os.environ["RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"] = str(PORT + 101)

import ray
from ray import serve
from ray_processes import descendants
from starlette.responses import PlainTextResponse

TEXT = "Hello from behind the proxy."
answers = os.fdopen(os.dup(1), "w", buffering=1)
# What Ray prints must not come between the answers.
os.dup2(2, 1)


@serve.deployment(max_ongoing_requests=1_000_000, ray_actor_options={"num_cpus": 0})
class Text:
    def __init__(self):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)

    async def __call__(self, request):
        return PlainTextResponse(TEXT)


def wait_for_answer():
    """HAProxy hears of the replica later than `serve.run` returns."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as answer:
                if answer.read().decode() == TEXT:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("Ray Serve does not answer.")


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
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        serve.run(Text.bind())
        wait_for_answer()
        print(json.dumps({"version": ray.__version__, "pids": descendants(os.getpid())}), file=answers)
        sys.stdin.read()
    finally:
        ray.shutdown()


main()
