"""Parts: every point in one part, every result yielded once."""

import numpy as np
import pytest

from gradsweep.request.partition import Part, Partition


def test_every_point_is_in_one_part():
    partition = Partition({"a": 5, "b": 7, "c": 1}, {"a": 2, "b": 3, "c": 4})
    count = np.zeros((5, 7, 1), dtype=int)
    for part in partition:
        count[tuple(part.slices.values())] += 1
    assert partition.counts == (3, 3, 1) and len(partition) == 9
    assert (count == 1).all()
    assert sum(part.n_points for part in partition) == 35


@pytest.mark.parametrize("dims", [(), ("a",), ("b",), ("a", "b")])
def test_a_result_is_yielded_once_at_every_point_of_its_own_dims(dims):
    partition = Partition({"a": 5, "b": 7}, {"a": 2, "b": 3})
    count = np.zeros([partition.axes[dim] for dim in dims], dtype=int)
    for part in partition:
        if part.owns(dims):
            count[tuple(part.slices[dim] for dim in dims)] += 1
    assert (count == 1).all()


def test_parts_are_numbered_in_the_order_of_memory():
    partition = Partition({"a": 4, "b": 6}, {"a": 2, "b": 3})
    assert [part.slices["b"].start for part in partition] == [0, 3, 0, 3]
    assert partition[2] == Part(2, {"a": slice(2, 4), "b": slice(0, 3)})
    assert partition[2].describe() == "part 2 (a 2:4, b 0:3)"
    with pytest.raises(IndexError):
        partition[4]


def test_an_empty_axis_has_one_part_of_no_points():
    (part,) = Partition({"a": 0}, {"a": 10})
    assert part.n_points == 0 and part.slices == {"a": slice(0, 0)}


def test_a_sweep_without_axes_is_one_part():
    (part,) = Partition({}, {})
    assert part.n_points == 1 and part.owns(())


def test_parts_beyond_what_python_can_index_are_counted_and_found():
    partition = Partition({f"a{i}": 7 for i in range(40)}, {f"a{i}": 1 for i in range(40)})
    assert partition.n_parts == 7**40
    last = partition[7**40 - 1]
    assert set(map(str, last.slices.values())) == {str(slice(6, 7))}
