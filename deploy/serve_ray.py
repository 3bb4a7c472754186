"""Serve the composer with Ray Serve: requests that come together are answered by one run of the network.

python deploy/serve_ray.py --port 8001
curl -d '{"bars": 8, "seed": 3}' http://127.0.0.1:8001/compose -o piece.mid
"""

from __future__ import annotations

import argparse
import time

from ondes.studio.ray_serve import composer_deployment
from ondes.tasks.batch_engines import join_ray


def main() -> None:
    """Start Ray on this machine, or join a cluster, and answer until Ctrl-C."""
    options = _options()
    join_ray(options.address, options.replicas + 1)  # one more answers HTTP
    from ray import serve  # noqa: PLC0415

    serve.start(http_options=serve.HTTPOptions(host=options.host, port=options.port))
    app = composer_deployment(
        options.model, replicas=options.replicas, most_together=options.together, wait_s=options.wait_s
    )
    serve.run(app, name="composer", route_prefix="/compose")
    print(f"http://{options.host}:{options.port}/compose", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        serve.shutdown()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="compose-small")
    parser.add_argument("--address", help="of a cluster, as ray://host:10001; its own where missing")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--together", type=int, default=16, help="requests that one run may answer")
    parser.add_argument("--wait-s", type=float, default=0.02, help="how long the first waits for others")
    return parser.parse_args()


if __name__ == "__main__":
    main()
