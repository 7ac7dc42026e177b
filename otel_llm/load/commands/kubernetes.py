"""`otel-llm kubernetes perf …`: the manifest of a run that pods share, for `kubectl apply -f`."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.plan.option_values import seconds
from otel_llm.load.show.redact import redact_url
from otel_llm.load.show.result_file import check_writable, write_result_file
from otel_llm.load.spread.job import JobOptions, manifest
from otel_llm.load.spread.perf_words import words_of_pods

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--pods", type=int, required=True, metavar="N", help="machines that share the run")
    add("--image", required=True, metavar="IMAGE", help="a container image with otel-llm in it")
    add("--job", default="otel-llm", metavar="NAME", help="of the Job and of the run files (default: %(default)s)")
    add("--namespace", metavar="NAME", help="default: that of kubectl")
    add("--start-in", type=seconds, default=300.0, metavar="TIME", help="when all pods begin, from now (default: 5min)")
    add("--claim", metavar="NAME", help="a volume claim for the run files; default: a new one, of the Job's name")
    add("--store", metavar="URL", help="an object store for the run files, in place of a volume: s3://BUCKET/FOLDER")
    add("--store-secret", metavar="NAME", help="the Secret whose entries are the variables of that store's library")
    add("--service-account", metavar="NAME", help="of the pods, where it has the store's rights")
    add("--secret", metavar="NAME", help="the Secret that has the key of --api-key-env, under that name")
    add("--cpu", default="2", metavar="N", help="of each pod (default: %(default)s)")
    add("--memory", default="2Gi", metavar="SIZE", help="of each pod (default: %(default)s)")
    add("--out", type=Path, metavar="FILE", help="default: standard output")
    add("command", choices=["perf"], help="what the pods share")
    add("words", nargs=argparse.REMAINDER, metavar="OPTIONS", help="those of `otel-llm perf`, behind the others")


def run(args: argparse.Namespace) -> int:
    """Write the manifest; return 0. Raises ConfigError for what pods cannot share, and for a key in the options."""
    if args.pods < 1:
        raise ConfigError("--pods to be 1 or more", args.pods)
    _check_store(args)
    if args.out is not None:
        check_writable(args.out, "--out", "JSON")
    found = words_of_pods(args.words)
    if (found.key is None) != (args.secret is None):
        raise ConfigError("--secret together with --api-key-env", "one of them", "name the Secret, and the key in it")
    start = datetime.fromtimestamp(SYSTEM.wall_ns(now_ns()) / 1e9, UTC) + timedelta(seconds=args.start_in)
    begins = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    options = JobOptions(
        name=args.job,
        namespace=args.namespace,
        image=args.image,
        pods=args.pods,
        claim=args.claim,
        store=args.store,
        account=args.service_account,
        secret=args.secret,
        keys=args.store_secret,
        cpu=args.cpu,
        memory=args.memory,
        begins=begins,
    )
    text = msgspec.json.format(msgspec.json.encode(manifest(options, found))) + b"\n"
    if args.out is None:
        sys.stdout.write(text.decode())
    else:
        write_result_file(args.out, text, "--out", "JSON")
    sys.stderr.write(
        f"the pods begin at {begins}: apply it before\n"
        f"when the Job is complete: otel-llm merge {_runs(args)} --into {args.job}.db\n"
    )
    return 0


def _runs(args: argparse.Namespace) -> str:
    files = f"{args.job}-*-of-{args.pods}.db"
    return files if args.store is None else f"'{args.store.rstrip('/')}/{files}'"


def _check_store(args: argparse.Namespace) -> None:
    if args.store is None:
        if args.store_secret is not None:
            raise ConfigError("--store-secret together with --store", "--store-secret alone")
        return
    if args.claim is not None:
        raise ConfigError("--store or --claim", "both", "run files go to one place")
    if "://" not in args.store or redact_url(args.store) != args.store:
        raise ConfigError("--store URL without secrets", redact_url(args.store), "give --store-secret")
