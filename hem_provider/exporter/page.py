"""Values of metrics in the forms that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from hem_provider.exporter.metrics import ALL, Kind, Metric, Sample

__all__ = ["page"]

_FAMILIES: dict[Kind, Any] = {
    Kind.GAUGE: GaugeMetricFamily,
    Kind.COUNTER: CounterMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def page(samples: Iterable[Sample], accepted: str = "") -> tuple[str, bytes]:
    """The type of the page, and the page: in the text format of Prometheus, or in OpenMetrics where that is
    ``accepted``."""
    try:
        encode, kind = choose_encoder(accepted)
    except (ValueError, TypeError):  # a version that is none
        encode, kind = choose_encoder("")
    return kind, encode(_Collected(samples))


class _Collected:
    """What an encoder takes for a registry."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for each in samples:
            self._samples.setdefault(each.name, []).append(each)

    def collect(self) -> Iterator[Family]:
        return (_family(each, self._samples[each.name]) for each in ALL if each.name in self._samples)


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for each in samples:
        if metric.kind is Kind.HISTOGRAM:
            family.add_metric(each.labels, buckets=list(each.buckets), sum_value=each.value)
        else:
            family.add_metric(each.labels, float(each.value))
    found: Family = family
    return found
