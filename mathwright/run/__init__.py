"""A run's folder: what stands in it, what a stage began with, and who may write there."""

from mathwright.files import write_json
from mathwright.run.directory import RunDirectory, require_disk
from mathwright.run.funnel import Funnel
from mathwright.run.inputs import fingerprint
from mathwright.run.log import Log, read_metrics
from mathwright.run.stage import SilentStage, Stage, read_manifest, read_manifests
from mathwright.terminal import console

__all__ = [
    "Funnel",
    "Log",
    "RunDirectory",
    "SilentStage",
    "Stage",
    "console",
    "fingerprint",
    "read_manifest",
    "read_manifests",
    "read_metrics",
    "require_disk",
    "write_json",
]
