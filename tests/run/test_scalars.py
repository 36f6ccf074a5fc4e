"""Measurements as TensorBoard reads them: the file's records by their definition, and what a resumed run leaves."""

import struct
from pathlib import Path
from typing import Any

import pytest

from mathwright.run import RunDirectory, Stage
from mathwright.run.scalars import crc32c


def open_stage(path: Path) -> Stage:
    return RunDirectory(path, recipe_name="t", recipe={}).stage("sft")


def records(folder: Path) -> list[bytes]:
    """The messages of the one event file, by TFRecord's definition; checksums in their slow, bitwise form."""

    def masked(data: bytes) -> int:
        checksum = 0xFFFFFFFF
        for byte in data:
            checksum ^= byte
            for _ in range(8):
                checksum = (checksum >> 1) ^ (0x82F63B78 * (checksum & 1))
        checksum ^= 0xFFFFFFFF
        return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) % 2**32

    [file] = folder.glob("events.out.tfevents.*")
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        message = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12]) == (masked(data[:8]),)
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked(message),)
        found.append(message)
        data = data[16 + length :]
    return found


def event_class() -> Any:
    """TensorFlow's Event as far as scalars need it, in Google's own reader."""
    protobuf = pytest.importorskip("google.protobuf")
    assert protobuf is not None
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    value = file.message_type.add(name="Value")
    value.field.add(name="tag", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    value.field.add(name="simple_value", number=2, type=kinds.TYPE_FLOAT, label=kinds.LABEL_OPTIONAL)
    summary = file.message_type.add(name="Summary")
    summary.field.add(name="value", number=1, type=kinds.TYPE_MESSAGE, type_name=".t.Value", label=kinds.LABEL_REPEATED)
    event = file.message_type.add(name="Event")
    event.field.add(name="wall_time", number=1, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    event.field.add(name="step", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    event.field.add(name="file_version", number=3, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    event.field.add(
        name="summary", number=5, type=kinds.TYPE_MESSAGE, type_name=".t.Summary", label=kinds.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))


def scalars(folder: Path) -> list[tuple[int, dict[str, float]]]:
    event = event_class()
    head, *events = (event.FromString(message) for message in records(folder))
    assert head.file_version == "brain.Event:2"
    assert all(e.wall_time > 1.7e9 for e in (head, *events))
    return [(e.step, {v.tag: v.simple_value for v in e.summary.value}) for e in events]


def test_every_measurement_is_there_under_its_kind(tmp_path: Path) -> None:
    stage = open_stage(tmp_path)
    stage.log(0, kind="train", loss=2.5, lr=1e-5, note="words", whole=True)
    stage.log(300, kind="eval", heldout_loss=float("nan"), huge=1e300)
    stage.log(70_000, kind="train", loss=-0.5)
    found = scalars(stage.path)
    assert found[0] == (0, {"train/loss": 2.5, "train/lr": pytest.approx(1e-5)})
    assert found[1][0] == 300 and str(found[1][1]["eval/heldout_loss"]) == "nan"
    assert found[1][1]["eval/huge"] == float("inf")
    assert found[2] == (70_000, {"train/loss": -0.5})


def test_a_resumed_stage_leaves_what_metrics_has(tmp_path: Path) -> None:
    stage = open_stage(tmp_path)
    for step in range(4):
        stage.log(step, loss=float(step))
    [file] = stage.path.glob("events.*")
    file.write_bytes(file.read_bytes()[:-5])  # a kill in the middle of a record
    again = open_stage(tmp_path)
    again.rewind_metrics(2)
    again.log(2, loss=20.0)
    again.log(3, loss=30.0)
    expected = [(m["step"], {"loss": m["loss"]}) for m in again.metrics()]
    assert scalars(stage.path) == expected == [(0, {"loss": 0}), (1, {"loss": 1}), (2, {"loss": 20}), (3, {"loss": 30})]
    [later] = stage.path.glob("events.*")
    assert later.name > file.name, "TensorBoard reads files in the order of their names"


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
