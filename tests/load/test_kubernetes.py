"""A manifest for pods that share a run: what they are told, what is kept from it, and that Kubernetes would take it."""

import base64
import json
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from otel_llm.cli import main
from otel_llm.load.plan.option_values import parse_moment
from otel_llm.load.plan.share import Shard, parse_shard

OWN = ("kubernetes", "--pods", "4", "--image", "registry.example/otel-llm:1", "--job", "load")
PERF = ("perf", "--url", "http://vllm:8000", "--model", "m", "--rate", "100", "-n", "1000")


def made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "otel-llm merge load-*-of-4.db --into load.db" in err
    return {item["kind"]: item for item in json.loads(out)["items"]}


def test_each_pod_does_its_shard_from_one_moment_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(capsys, *OWN, *PERF, "--prompt", "x")
    job = found["Job"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"], job["backoffLimit"]) == ("Indexed", 4, 4, 0)
    (container,) = job["template"]["spec"]["containers"]
    args = container["args"]
    assert args[: len(PERF) - 1] == list(PERF[1:])
    assert args[args.index("--name") + 1] == "load.db"
    assert set(found) == {"Job", "PersistentVolumeClaim"}
    given = dict(pairwise(args))
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    assert parse_shard(given["--shard"]) == Shard(3, 4)
    assert parse_moment(given["--start-at"]) > 1.7e18


def test_files_of_the_plan_are_mounted_and_the_key_is_a_reference(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "a"}')
    (tmp_path / "p.txt").write_text("Why?")
    (tmp_path / "v.mp4").write_bytes(b"\0video")
    words = (
        "--dataset", f"{tmp_path}/a.jsonl", f"--prompt=@{tmp_path}/p.txt", "--video", f"{tmp_path}/v.mp4",
        "--images", "1x64x64", "--api-key-env", "MODEL_KEY",
    )  # fmt: skip
    found = made(capsys, *OWN, "--secret", "vllm", "--claim", "runs", *PERF, *words)
    assert set(found) == {"Job", "ConfigMap"}
    files = {name: base64.b64decode(data) for name, data in found["ConfigMap"]["binaryData"].items()}
    assert files == {"a.jsonl": b'{"prompt": "a"}', "p.txt": b"Why?", "v.mp4": b"\0video"}
    pod = found["Job"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    asked = "--dataset /plan/a.jsonl --prompt=@/plan/p.txt --video /plan/v.mp4 --images 1x64x64"
    assert asked in shlex.join(container["args"])
    (key,) = [each for each in container["env"] if each["name"] == "MODEL_KEY"]
    assert key["valueFrom"] == {"secretKeyRef": {"name": "vllm", "key": "MODEL_KEY"}}
    assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}


def test_an_object_store_takes_the_place_of_the_volume(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--store", "s3://load/runs/", "--store-secret", "s3-keys", "--service-account", "loader")
    assert main([*OWN, *words, *PERF, "--prompt", "x"]) == 0
    out, err = capsys.readouterr()
    assert "otel-llm merge 's3://load/runs/load-*-of-4.db' --into load.db" in err
    found = {item["kind"]: item for item in json.loads(out)["items"]}
    assert set(found) == {"Job"}
    pod = found["Job"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "loader"
    assert pod["volumes"] == [{"name": "runs", "emptyDir": {}}]
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "s3-keys"}}]
    assert dict(pairwise(pod["containers"][0]["args"]))["--store"] == "s3://load/runs/"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--store", "s3://me:pw@load/runs"), "--store URL without secrets"),
        (("--store", "runs"), "--store URL without secrets"),
        (("--store", "s3://load/runs", "--claim", "runs"), "run files go to one place"),
        (("--store-secret", "s3-keys"), "--store-secret together with --store"),
    ],
)
def test_a_store_that_pods_cannot_have_is_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OWN, *words, *PERF]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert "pw" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--headers", "Authorization: Bearer sk-1234567890abcdef"), "--headers without secrets"),
        (("--wandb-api-key", "0123456789abcdef"), "a manifest is no place for a key"),
        (("--api-key-env", "KEY"), "--secret together with --api-key-env"),
        (("--shard", "1/2"), "without --shard"),
        (("--json", "r.json"), "without --json"),
        (("--nonsense",), "options of otel-llm perf"),
        (("--rate",), "options of otel-llm perf"),
    ],
)
def test_what_has_no_place_in_a_manifest_is_refused_in_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OWN, *PERF, *words]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert not out
    assert "1234567890abcdef" not in err


def test_files_that_a_config_map_cannot_hold_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "big.jsonl").write_bytes(b"x" * ((1 << 20) + 1))
    assert main([*OWN, *PERF, "--dataset", str(tmp_path / "big.jsonl")]) == 2
    assert "put them into the image" in capsys.readouterr().err
