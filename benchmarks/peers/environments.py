"""One virtual environment for each of the other load generators, in the cache outside the checkout.

python -m benchmarks.peers.environments [NAME ...]
"""

import argparse
import sys

from tools.environments import Environment, make_all

EVALSCOPE = Environment("peers", "evalscope", size="0.8 GB")
GUIDELLM = Environment("peers", "guidellm", size="4.4 GB, most of it torch", complete=False)
AIPERF = Environment("peers", "aiperf", size="0.9 GB")
INFERENCE_PERF = Environment("peers", "inference-perf", needs=(3, 12), size="0.6 GB")
ENVIRONMENTS = (EVALSCOPE, GUIDELLM, AIPERF, INFERENCE_PERF)


def main() -> int:
    """0 when every environment asked for is there, 1 when one is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [environment.distribution for environment in ENVIRONMENTS]
    parser.add_argument("names", nargs="*", metavar="NAME", default=names, help=", ".join(names))
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(names))
    if unknown:
        parser.error(f"expected one of {', '.join(names)}, got {unknown[0]!r}")
    return make_all(environment for environment in ENVIRONMENTS if environment.distribution in args.names)


if __name__ == "__main__":
    sys.exit(main())
