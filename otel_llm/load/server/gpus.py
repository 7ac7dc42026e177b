"""GPUs during a run: utilisation, memory, power and energy, from a DCGM exporter or NVIDIA's driver."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from otel_llm_collector.engine_tables.reading import samples_of

__all__ = ["Gpu", "gpus_of_nvml", "gpus_of_page"]


class Gpu(msgspec.Struct, omit_defaults=True):
    """One GPU at one moment. None for what is not told.

    utilization: share of the latest moments in which it did anything, 0 to 1
    memory:      bytes in use
    power:       watts
    energy:      joules since its driver was loaded
    """

    id: str
    utilization: float | None = None
    memory: float | None = None
    power: float | None = None
    energy: float | None = None


_OF_DCGM: Final[Mapping[str, tuple[str, float]]] = {
    "DCGM_FI_DEV_GPU_UTIL": ("utilization", 0.01),
    "DCGM_FI_DEV_FB_USED": ("memory", 1024.0**2),
    "DCGM_FI_DEV_POWER_USAGE": ("power", 1.0),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("energy", 1e-3),
}
"""Metrics of the DCGM exporter, and the factors that bring them to our units."""


def gpus_of_page(text: str) -> list[Gpu]:
    """Return the GPUs of a page; none of one that is no DCGM exporter's."""
    if "DCGM_FI_DEV_" not in text:
        return []
    found: dict[str, Gpu] = {}
    for sample in samples_of(text, _OF_DCGM.keys()):
        name, factor = _OF_DCGM[sample.name]
        labels = sample.labels
        part = labels.get("GPU_I_ID", "")  # of a GPU that is cut in parts
        key = "/".join(filter(None, (labels.get("UUID") or labels.get("gpu", "?"), part)))
        setattr(found.setdefault(key, Gpu(key)), name, sample.value * factor)
    return list(found.values())


def gpus_of_nvml() -> list[Gpu]:
    """Return the GPUs of this machine. Raises ImportError without the extra `gpu`, NVMLError without a driver."""
    try:
        import pynvml
    except ImportError as error:
        raise ImportError("expected the package nvidia-ml-py, got none; next step: pip install nvidia-ml-py") from error
    pynvml.nvmlInit()  # it counts its callers, and is cheap once it was done
    handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]

    def told(ask: Callable[[], float]) -> float | None:
        try:
            return float(ask())
        except pynvml.NVMLError:  # some cards do not tell
            return None

    return [
        Gpu(
            str(pynvml.nvmlDeviceGetUUID(each)),
            told(lambda each=each: pynvml.nvmlDeviceGetUtilizationRates(each).gpu / 100),  # type: ignore[misc]
            told(lambda each=each: pynvml.nvmlDeviceGetMemoryInfo(each).used),  # type: ignore[misc]
            told(lambda each=each: pynvml.nvmlDeviceGetPowerUsage(each) / 1e3),  # type: ignore[misc]
            told(lambda each=each: pynvml.nvmlDeviceGetTotalEnergyConsumption(each) / 1e3),  # type: ignore[misc]
        )
        for each in handles
    ]
