"""Snakemake with a Kubernetes that keeps what it is sent and says that every job failed; no cluster is asked.

``python pods.py FILE OPTIONS...`` appends a line of JSON to FILE for each job.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes
from snakemake.cli import main

FAILED = SimpleNamespace(status=SimpleNamespace(failed=1, succeeded=None, conditions=None, active=None))


class Core:
    """Takes secrets, and has no pods."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_, **__: SimpleNamespace(metadata=SimpleNamespace(name=name), items=[])


class Batch(Core):
    """Keeps jobs."""

    def create_namespaced_job(self, _: str, body: Any) -> Any:
        with Path(sys.argv[1]).open("a") as kept:
            print(json.dumps(kubernetes.client.ApiClient().sanitize_for_serialization(body)), file=kept)
        return body

    def read_namespaced_job(self, *_: str) -> Any:
        return FAILED

    read_namespaced_job_status = read_namespaced_job


if __name__ == "__main__":
    kubernetes.config.load_kube_config = lambda *_, **__: None
    kubernetes.client.CoreV1Api = Core
    kubernetes.client.BatchV1Api = Batch
    main(sys.argv[2:])
