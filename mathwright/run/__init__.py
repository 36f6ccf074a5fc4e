"""A run's folder: what stands in it, what a stage began with, and who may write there."""

from mathwright.run.directory import (
    Funnel,
    RunDirectory,
    SilentStage,
    Stage,
    console,
    fingerprint,
    read_manifest,
    read_metrics,
    require_disk,
    write_json,
)

__all__ = [
    "Funnel",
    "RunDirectory",
    "SilentStage",
    "Stage",
    "console",
    "fingerprint",
    "read_manifest",
    "read_metrics",
    "require_disk",
    "write_json",
]
