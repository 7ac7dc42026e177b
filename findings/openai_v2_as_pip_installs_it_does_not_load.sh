#!/bin/sh
# OpenTelemetry's instrumentation of the openai package, opentelemetry-instrumentation-openai-v2 2.4b0, asks for
# openai >= 1.26 and for opentelemetry-util-genai >= 0.4b0.dev, without an upper bound.
#
# So pip takes the newest of both, and it cannot be imported beside either. util-genai 1.3b0 has no module `instruments`
# any more; openai 3 brings httpx2 where httpx was, which is imported and not asked for. Started by
# `opentelemetry-instrument`, the program runs on, without a span of its calls.
#
# Prints:
#     openai 2.54.0, util-genai 0.4b0: loads
#     openai 2.54.0, util-genai 1.3b0: ModuleNotFoundError: No module named 'opentelemetry.util.genai.instruments'
#     openai 3.57.0, util-genai 0.4b0: ModuleNotFoundError: No module named 'httpx'
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/load.py" <<'END'
from importlib.metadata import version

try:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    said = "loads"
except ModuleNotFoundError as error:
    said = f"{type(error).__name__}: {error}"
print(f"openai {version('openai')}, util-genai {version('opentelemetry-util-genai')}: {said}")
END
for pair in 2.54.0-0.4b0 2.54.0-1.3b0 3.57.0-0.4b0; do
    python3 -m venv "$folder/$pair"
    "$folder/$pair/bin/python" -m pip --disable-pip-version-check -q install "openai==${pair%-*}" \
        "opentelemetry-util-genai==${pair#*-}" opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-sdk
    "$folder/$pair/bin/python" "$folder/load.py" | tee -a "$folder/said"
done
diff - "$folder/said" <<'END'
openai 2.54.0, util-genai 0.4b0: loads
openai 2.54.0, util-genai 1.3b0: ModuleNotFoundError: No module named 'opentelemetry.util.genai.instruments'
openai 3.57.0, util-genai 0.4b0: ModuleNotFoundError: No module named 'httpx'
END
