"""The table of real parts: which programs there are, which version, and from which Go modules each is built."""

from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True, slots=True)
class Part:
    """One `go build`: a folder of pinned module files and the programs that come out of it."""

    name: str
    version: str  # what is built here, tested against, and the oldest that is taken from PATH
    module: str  # folder below tools/modules
    packages: dict[str, str]  # program name → Go package
    tags: str = ""
    stamp: str = ""  # VARIABLE=VALUE for the linker, where the module leaves empty what `--version` prints
    cold_s: int = 0  # about how long the first build takes on two busy cores, in seconds
    target: str = "tools"  # of make, which builds it


@dataclass(frozen=True, slots=True)
class Program:
    """One executable, and how to see whether the one on PATH will do."""

    name: str
    part: Part
    aliases: tuple[str, ...] = ()  # other names it has on PATH, best first
    version_args: tuple[str, ...] | None = ("--version",)  # None: it cannot say; the Go build record in the file can
    contents_args: tuple[str, ...] = ()  # a command whose output must name each of `needs`
    needs: tuple[str, ...] = ()


COLLECTOR = Part(
    name="collector",
    version="0.161.0",
    module="collector",
    packages={"otelcol": "."},
    tags="remove_all_sd,enable_dns_sd",  # without the cloud SDKs of service discovery: 144 MB instead of 200
    cold_s=440,
)
PROMETHEUS = Part(
    name="prometheus",
    version="3.15.0",
    module="prometheus",
    packages={
        "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
        "promtool": "github.com/prometheus/prometheus/cmd/promtool",
    },
    tags="remove_all_sd,netgo",
    stamp="github.com/prometheus/common/version.Version=3.15.0",
    cold_s=220,
)
JAEGER = Part(
    name="jaeger",
    version="2.13.0",  # module v1.76.0: the same commit carries both numbers, and v2 tags are no Go module
    module="jaeger",
    packages={"jaeger": "github.com/jaegertracing/jaeger/cmd/jaeger"},
    tags="remove_all_sd",
    stamp="github.com/jaegertracing/jaeger/internal/version.latestVersion=v2.13.0",
    cold_s=360,
)
SIM = Part(
    name="llm-d-inference-sim",
    version="0.10.2",
    module="sim",
    packages={"llm-d-inference-sim": "github.com/llm-d/llm-d-inference-sim/cmd/llm-d-inference-sim"},
    cold_s=340,
)
LINTER = Part(
    name="dashboard-linter",
    version="0.2.0",
    module="linter",  # with a stand-in for Grafana's module of schema v2: see there
    packages={"dashboard-linter": "github.com/grafana/dashboard-linter"},
    cold_s=150,
)
KUBERNETES = Part(
    name="kubernetes",
    version="1.37.2",
    module="kubernetes",
    packages={"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"},
    stamp="k8s.io/component-base/version.gitVersion=v1.37.2",
    cold_s=600,
    target="kubernetes",
)
ETCD = Part(
    name="etcd",
    version="3.7.0",
    module="kubernetes",  # which needs it in this version
    packages={"etcd": "go.etcd.io/etcd/server/v3"},
    cold_s=30,
    target="kubernetes",
)

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program(
            "otelcol",
            COLLECTOR,
            aliases=("otelcol-contrib",),
            contents_args=("components",),
            # The core distribution has the same name and version, and lacks what our configurations use.
            needs=(
                "health_check",
                "otlp_http",
                "span_metrics",
                "tail_sampling",
                "transform",
                "file_storage",
                "k8s_attributes",
            ),
        ),
        Program("prometheus", PROMETHEUS),
        Program("promtool", PROMETHEUS),
        Program("jaeger", JAEGER, version_args=("version",)),
        Program("llm-d-inference-sim", SIM, version_args=None),
        Program("dashboard-linter", LINTER, version_args=None),
        Program("kube-apiserver", KUBERNETES),
        Program("etcd", ETCD),
    )
}
