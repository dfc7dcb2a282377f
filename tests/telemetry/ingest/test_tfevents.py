"""TensorBoard's own writer is the reference: what it writes is read, frame by frame."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest import Place, Problem
from tele.telemetry.ingest.tfevents import crc32c, read, sniff


@pytest.fixture
def written(tmp_path):
    """Write events into `logs/train` as TensorBoard does, and give the file."""
    writers = pytest.importorskip("tensorboard.summary.writer.event_file_writer")

    def write(*events):
        writer = writers.EventFileWriter(str(tmp_path / "train"))
        for event in events:
            writer.add_event(event)
        writer.close()
        (path,) = (tmp_path / "train").iterdir()
        return path

    return write


def event(step, *values, wall=1_700_000_000.25, **more):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=wall, step=step, summary=Summary(value=values), **more)


def value(tag, **more):
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary.Value(tag=tag, **more)


def rows(path):
    assert sniff(path.read_bytes()[:64])
    return list(read(path, Place(str(path))))


@pytest.mark.parametrize(("data", "crc"), [(b"123456789", 0xE3069283), (b"", 0), (bytes(32), 0x8A9136AA)])
def test_crc32c_has_the_values_of_rfc_3720(data, crc):
    assert crc32c(data) == crc


def test_scalars_of_both_generations_become_metrics_with_their_step_and_their_folder(written):
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.util.tensor_util import make_tensor_proto

    scalars = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    tensor = value("acc", tensor=make_tensor_proto(0.75), metadata=scalars)

    loss, accuracy = rows(written(event(3, value("loss", simple_value=0.5)), event(2**40, tensor)))

    shared = {"kind": "metric", "start_ns": 1_700_000_000_250_000_000, "run_id": "train"}
    attributes = {"otel.source": "tensorboard"}
    assert loss == {**shared, "name": "loss", "value": 0.5, "step": 3, "attributes": attributes}
    assert accuracy == {
        **shared,
        "name": "acc",
        "value": 0.75,
        "step": 2**40,
        "attributes": {"tensorboard.plugin": "scalars", **attributes},
    }


def test_text_histograms_images_and_vectors_keep_what_describes_them(written):
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
    from tensorboard.util.tensor_util import make_tensor_proto

    histogram = HistogramProto(min=-1, max=2, num=3, sum=1.5, sum_squares=5, bucket_limit=[0, 2], bucket=[1, 2])
    image = Summary.Image(height=2, width=3, encoded_image_string=b"x" * 50)
    values = [
        value("note", tensor=make_tensor_proto(["hello"])),
        value("weights", histo=histogram),
        value("picture", image=image),
        value("vector", tensor=make_tensor_proto([1, 2, 3])),
    ]

    note, weights, picture, vector = rows(written(event(1, *values)))

    assert (note["kind"], note["output"]) == ("event", "hello")
    assert weights["attributes"]["tensorboard.histogram"] == {
        "min": -1,
        "max": 2,
        "num": 3,
        "sum": 1.5,
        "sum_squares": 5,
        "bucket_limit": [0, 2],
        "bucket": [1, 2],
    }
    media = {"kind": "image", "height": 2, "width": 3, "bytes_left_out": 50}
    assert picture["attributes"]["tensorboard.media"] == media
    assert vector["attributes"]["tensorboard.tensor"] == [1, 2, 3]


def test_what_is_no_number_and_what_goes_backwards_is_kept(written):
    first, second = rows(
        written(event(5, value("loss", simple_value=math.nan)), event(-1, value("loss", simple_value=1), wall=1.0))
    )

    assert ("value" in first, first["attributes"]["tensorboard.value"]) == (False, "nan")
    assert (second["step"], second["start_ns"]) == (-1, 10**9)


def test_a_file_that_is_cut_off_anywhere_gives_its_whole_records(written):
    path = written(*(event(step, value("loss", simple_value=step)) for step in range(20)))
    data = path.read_bytes()

    for cut in range(1, len(data) - 30, 7):
        path.write_bytes(data[:-cut])
        found = list(read(path, Place("f")))
        steps = [row["step"] for row in found if not isinstance(row, Problem)]
        assert steps == list(range(len(steps)))
        assert len(found) - len(steps) <= 1


def test_a_damaged_record_is_left_out_and_the_others_are_read(written):
    path = written(*(event(step, value("loss", simple_value=step)) for step in range(5)))
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF  # within the last record
    path.write_bytes(data)

    *found, problem = read(path, Place("f"))

    assert [row["step"] for row in found] == [0, 1, 2, 3]
    assert problem.message == "its checksum does not fit: it is left out"


def test_a_damaged_length_ends_the_file(written):
    path = written(event(0, value("loss", simple_value=1)))
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)

    (problem,) = read(path, Place("f"))

    assert problem.message == "its length is damaged: what follows cannot be found"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_never_raise(tmp_path_factory, data):
    from tele.telemetry.ingest.tfevents import _masked

    path = tmp_path_factory.mktemp("t") / "f"
    head = len(data).to_bytes(8, "little")
    path.write_bytes(head + _masked(head).to_bytes(4, "little") + data + _masked(data).to_bytes(4, "little"))

    assert all(one.get("kind") if isinstance(one, dict) else one.message for one in read(path, Place("f")))
