"""Numbers for Prometheus: requests by route and status, how long they took, what waits, and workers."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)  # edges of the histogram
TOGETHER = (1, 2, 4, 8, 16)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The numbers of one service; nothing global, so that two in a process count apart."""

    def __init__(self, waiting: Callable[[], int], workers: Callable[[], int], inside: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "wam_requests", "Requests answered.", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "wam_request_seconds", "Time to an answer.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self._restarts = Counter("wam_worker_restarts", "Workers replaced.", ["why"], registry=self._registry)
        self._together = Histogram(
            "wam_pictures_together", "Pictures that a worker did in one go.", buckets=TOGETHER, registry=self._registry
        )
        for name, text, read in (
            ("wam_tasks_waiting", "Pictures that no worker has begun.", waiting),
            ("wam_workers_ready", "Worker processes with a loaded model.", workers),
            ("wam_pictures_inside", "Requests with a picture that are not answered.", inside),
        ):
            Gauge(name, text, registry=self._registry).set_function(read)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def restarted(self, why: str) -> None:
        """Counts a worker that was replaced."""
        self._restarts.labels(why).inc()

    def together(self, count: int) -> None:
        """Counts tasks that were done in one go."""
        self._together.observe(count)

    def page(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self._registry)
