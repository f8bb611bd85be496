"""Tensors that share memory: views of another dtype, complex numbers, other libraries."""

import copy
import ctypes

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import UntraceableError
from tests.support.plain_loop import POINTS, assert_as_a_loop
from tests.support.torch_frontend import traced

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SWEEP = gs.Sweep(x=POINTS)


def magnitude(x):
    return torch.complex(x, 0 * x).abs()


def square(x):
    return (torch.complex(x, x) ** 2).imag


def parts_of_a_complex_number(x):
    return torch.complex(x, 2 * x).real * x


def written_through_real_and_imaginary_views(x):
    z = torch.zeros(2, dtype=torch.complex128)
    z.real[0] = x
    z.imag[1] = x * x
    return torch.view_as_real(z).pow(2).sum()


def written_through_a_view_of_pairs(x):
    z = torch.zeros(2, dtype=torch.complex128)
    torch.view_as_real(z)[0, 1] = x
    return z.abs().sum() * x


def conjugated(x):
    z = torch.complex(x, x * x)
    return z.conj().imag * x + (z * z.conj()).real


def pairs_seen_as_complex_and_written(x):
    pair = torch.stack([x, x * x]).clone()
    z = torch.view_as_complex(pair)
    pair[0] = 3 * x
    return z.real * z.imag


def imaginary_part_scaled_in_place(x):
    z = torch.complex(x, x).clone()
    z.imag.mul_(2)
    return z.abs() * x


def bits_of_a_float_written(x):
    held = torch.zeros(2, dtype=torch.float64)
    held.view(torch.int64)[0] = 4611686018427387904  # 2.0
    held[1] = x
    return held.sum() * x


def bits_written_over_a_traced_value(x):
    held = torch.stack([x, 2 * x]).clone()
    with torch.no_grad():
        held.view(torch.int64)[0] = 4611686018427387904
    return held.detach().sum() * x


def bytes_of_a_float(x):
    first = torch.stack([x]).view(torch.uint8)[7]
    return x**2 * (first > 63)


def a_number_written_through_its_views(x):
    y = x * 2
    view = y.view(1)
    view.mul_(x)
    y.add_(1)
    return y * view.squeeze() + view[0]


def a_number_taken_out_of_a_vector_and_written(x):
    row = torch.stack([x, x * x, x + 1])
    middle = row[1]
    middle *= x
    return middle * row.sum() + row[1]


def a_number_read_before_and_after_it_is_written(x):
    y = x.sin()
    before = y * 3
    y.copy_(x * x)
    return before + y * 3


def a_number_beside_constants_that_are_written(x):
    scale = torch.tensor(0.5)
    first = x + scale
    scale += 1
    return first * (x + scale) + torch.zeros(()) * x


def integers_that_wrap(x):
    n = (x * 100).to(torch.int8)
    return x * (n + n) + n.to(torch.float64) * x


FUNCTIONS = [
    a_number_written_through_its_views,
    a_number_taken_out_of_a_vector_and_written,
    a_number_read_before_and_after_it_is_written,
    a_number_beside_constants_that_are_written,
    integers_that_wrap,
    magnitude,
    square,
    parts_of_a_complex_number,
    written_through_real_and_imaginary_views,
    written_through_a_view_of_pairs,
    conjugated,
    pairs_seen_as_complex_and_written,
    imaginary_part_scaled_in_place,
    bits_of_a_float_written,
    bits_written_over_a_traced_value,
    bytes_of_a_float,
]


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_memory_seen_as_another_type_is_one_memory(f):
    assert_as_a_loop(f, "torch")


def test_views_that_are_told_by_their_dtype_lose_what_is_written(monkeypatch):
    """The control: a view of another dtype is taken for a copy."""
    from gradsweep.tracing.torch.recorder import record
    from gradsweep.tracing.torch.recorder.tensor import plain, tensors_in

    def lies_in(args, out, original=record.lies_in):
        base = next(tensors_in(plain(args)), None)
        same = all(t.dtype == getattr(base, "dtype", None) for t in tensors_in((out,)))
        return same and original(args, out)

    monkeypatch.setattr(record, "lies_in", lies_in)

    def fresh(x):
        z = torch.zeros(2, dtype=torch.complex128)
        torch.view_as_real(z)[0, 1] = x
        return z.abs().sum() * x

    with pytest.raises(AssertionError, match="fresh"):
        assert_as_a_loop(fresh, "torch")


def test_a_complex_number_of_which_parts_are_read_alone_is_a_program():
    plan = gs.plan(gs.gradient, parts_of_a_complex_number, SWEEP)
    assert plan.engine == "fused"


# -- memory that other code takes


def test_a_complex_number_that_is_no_program_is_named():
    result = traced(lambda x: torch.linalg.cholesky(torch.eye(2) * (x + 0j)).real.sum(), x=0.7)
    expected = "it takes torch.linalg_cholesky_ex of complex numbers"
    assert result.program is None and result.reason == expected


def by_dlpack(x):
    return torch.from_dlpack(x) * x


def by_a_capsule(x):
    return torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x.detach())) * x


def by_numpys_dlpack(x):
    return torch.as_tensor(np.from_dlpack(x.detach())) * x


def by_its_address(x):
    return x * (x.data_ptr() > 0)


def by_its_storage(x):
    address = x.untyped_storage().data_ptr()
    return x * ctypes.c_double.from_address(address).value


@pytest.mark.parametrize(
    "f",
    [by_dlpack, by_a_capsule, by_numpys_dlpack, by_its_address, by_its_storage],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("quantity", [gs.value, gs.gradient])
def test_handing_out_a_traced_tensors_memory_is_an_error_that_names_the_line(f, quantity):
    with pytest.raises(UntraceableError, match=r"memory.* at test_torch_memory\.py:\d+: "):
        quantity(f, SWEEP)


def test_a_deep_copy_is_a_constant_without_torchs_way_through_memory():
    """torch's own copies memory, which a traced tensor lacks; that crashed the process."""

    def f(x):
        one, (two, three) = copy.deepcopy(x.detach()), copy.deepcopy([x.detach(), 2 * x.detach()])
        return one * x**2 + two * three * x

    for engine in ("auto", "loop"):
        found = gs.gradient(f, SWEEP, engine=engine).df_dx
        np.testing.assert_allclose(found, 4 * POINTS**2, rtol=1e-14)
    (found,) = gs.gradient(lambda x: copy.deepcopy(x) * x, SWEEP).values()
    np.testing.assert_array_equal(found, POINTS)


@pytest.mark.jax
def test_jax_is_handed_no_memory_either():
    jnp = pytest.importorskip("jax.numpy")

    def f(x):
        return torch.as_tensor(np.asarray(jnp.from_dlpack(x.detach()))) * x

    with pytest.raises(UntraceableError, match=r"DLPack, at test_torch_memory\.py"):
        gs.gradient(f, SWEEP, framework="torch")


def test_the_memory_of_a_constant_may_be_handed_out():
    weights = torch.arange(3.0, dtype=torch.float64)

    def f(x):
        return (x * torch.from_dlpack(weights)).sum()

    np.testing.assert_array_equal(gs.gradient(f, SWEEP).df_dx, 3.0)


@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_what_numpy_writes_into_a_tensors_memory_is_not_lost():
    def f(x):
        held = torch.zeros(2, dtype=x.dtype)
        held.numpy()[0] = 5.0
        values = (x * 2).detach()
        values.numpy()[...] += 1.0
        return held.sum() * x + values.item() * x

    np.testing.assert_allclose(gs.gradient(f, SWEEP).df_dx, 5 + 2 * POINTS + 1)
