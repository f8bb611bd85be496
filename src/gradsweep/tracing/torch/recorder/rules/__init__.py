"""The meaning of each operation of torch: a table of rules by name.

A rule takes a Call and the operation's arguments and returns an Expression for each result. A name
is an aten operation's, or one overload's ("max.dim"), which is looked up first.
"""

from typing import Literal

from gradsweep.tracing.torch.recorder.rules import (
    algebra,
    complex_numbers,
    distances,
    factorizations,
    indexing,
    moves,
    pointwise,
    reductions,
    sampling,
    windows,
)

__all__ = ["CREATIONS", "OF_COMPLEX_NUMBERS", "RULES"]

# What operations create that depends only on the shape of their operand. Uninitialised memory is
# zeroed, so that two traces are the same; the zeros of both kinds are structural.
CREATIONS: dict[str, Literal["uninitialised", "zeros", "constants"]] = {
    **dict.fromkeys(("ones_like", "new_ones", "full_like", "new_full"), "constants"),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros", "zero", "eye"), "zeros"),
    **dict.fromkeys(
        (
            "empty", "empty_like", "empty_strided", "empty_permuted", "new_empty",
            "new_empty_strided", "_new_zeros_with_same_feature_meta",
        ),
        "uninitialised",
    ),
}  # fmt: skip

RULES = {
    **pointwise.RULES,
    **moves.RULES,
    **indexing.RULES,
    **reductions.RULES,
    **sampling.RULES,
    **algebra.RULES,
    **distances.RULES,
    **factorizations.RULES,
    **windows.RULES,
    **complex_numbers.RULES,
}

# The operations whose rules hold for complex numbers too.
OF_COMPLEX_NUMBERS = (
    frozenset(
        """
    _fft_c2c _fft_c2r _fft_r2c _conj _conj_physical _neg_view conj_physical angle complex polar
    view_as_complex view_as_complex_copy view_as_real view_as_real_copy

    abs acos acosh add addcdiv addcmul asin asinh atan atanh cos cosh div exp exp2 expm1 float_power
    lerp log log10 log1p log2 mul neg positive pow reciprocal rsqrt rsub sgn sigmoid
    sigmoid_backward sin sinc sinh sqrt square sub tan tanh tanh_backward
    eq ne isfinite isinf isnan

    cumprod cumsum linalg_vector_norm mean norm prod std sum var var_mean
    addmm addmv baddbmm bmm dot linear mm mv vdot
    _linalg_det _linalg_slogdet _linalg_solve_ex linalg_inv_ex linalg_lu_solve
    linalg_solve_triangular

    _to_copy constant_pad_nd copy fill index_add masked_fill unfold_backward where
    """.split()
    )
    | set(moves.RULES)
    | set(indexing.RULES)
)
