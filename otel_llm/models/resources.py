"""What this process uses: processor, memory, threads, and the GPUs where NVML is there to ask."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

import psutil
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from otel_llm import conventions as names
from otel_llm.clock import SYSTEM, now_ns

__all__ = ["Gpu", "Resources", "observe_resources", "resources"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. utilization: 0..1 over NVML's last sample period; memory in bytes."""

    index: int
    name: str
    utilization: float
    memory_used: int
    memory_total: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process uses now.

    cpu_percent: processor time since the report before (the first: since the process began), 100 for one core
    memory:      resident set, bytes
    """

    cpu_percent: float
    cpu_seconds: float
    memory: int
    threads: int
    gpus: tuple[Gpu, ...] = ()

    def __str__(self) -> str:
        lines = [f"CPU {self.cpu_percent:.1f} %, memory {self.memory / 2**20:.1f} MiB, {self.threads} threads"]
        lines += [
            f"GPU {gpu.index} {gpu.name}: {gpu.utilization:.0%}, memory {gpu.memory_used / 2**20:.0f} of "
            f"{gpu.memory_total / 2**20:.0f} MiB"
            for gpu in self.gpus
        ]
        return "\n".join(lines)


_before: dict[str, tuple[int, float]] = {}


def resources(who: str = "report") -> Resources:
    """Return what this process uses. `who`: CPU time is measured since the last call with the same `who`."""
    process = psutil.Process()
    with process.oneshot():
        times, memory, threads = process.cpu_times(), process.memory_info().rss, process.num_threads()
        age = max(SYSTEM.wall_ns(now_ns()) / 1e9 - process.create_time(), 1e-9)
    spent, now = times.user + times.system, now_ns()
    then = _before.get(who)
    _before[who] = (now, spent)
    elapsed, used = (age, spent) if then is None else (max((now - then[0]) / 1e9, 1e-9), spent - then[1])
    return Resources(100 * used / elapsed, spent, memory, threads, tuple(_gpus()))


def _gpus() -> Iterator[Gpu]:
    try:
        import pynvml
    except ImportError:
        return
    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            name: Any = pynvml.nvmlDeviceGetName(handle)
            rate = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            yield Gpu(index, name.decode() if isinstance(name, bytes) else name, rate, memory.used, memory.total)
    except pynvml.NVMLError:  # no driver, or a card that does not tell
        return


_observed: Final[WeakSet[metrics.MeterProvider]] = WeakSet()


def observe_resources(provider: metrics.MeterProvider | None = None) -> None:
    """Let a meter provider (the global one) read the same figures as gauges, at every collection. Once for each."""
    meter_provider = provider or metrics.get_meter_provider()
    if meter_provider in _observed:
        return
    _observed.add(meter_provider)
    meter = meter_provider.get_meter(names.SCOPE)
    meter.create_observable_gauge(names.PROCESS_CPU, [_cpu], "1", "Processor time of this process, 1 for one core.")
    meter.create_observable_gauge(names.PROCESS_MEMORY, [_memory], "By", "Resident memory of this process.")
    meter.create_observable_gauge(names.GPU_UTILIZATION, [_gpu_rate], "1", "Share of time the GPU was busy.")
    meter.create_observable_gauge(names.GPU_MEMORY, [_gpu_memory], "By", "Memory of the GPU in use.")


def _cpu(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(resources("gauge").cpu_percent / 100)


def _memory(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(psutil.Process().memory_info().rss)


def _gpu_rate(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(gpu.utilization, {names.GPU_ID: str(gpu.index)}) for gpu in _gpus()]


def _gpu_memory(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(gpu.memory_used, {names.GPU_ID: str(gpu.index)}) for gpu in _gpus()]
