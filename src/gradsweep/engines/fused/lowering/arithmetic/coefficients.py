"""The numbers of exp, log and erfc in each precision.

The coefficients interpolate, at Chebyshev nodes and in 50 digits or more, the function that
`Coefficients` names, constant term first. The comment above them ends with the error, of
coefficients that are rounded as they stand here.
"""

from dataclasses import dataclass

__all__ = ["COEFFICIENTS", "Coefficients"]


@dataclass(frozen=True)
class Coefficients:
    """The numbers of one dtype.

    Attributes:
        fraction_bits: the digits after the first.
        bias: what is added to exponents.
        sqrt_half_bits: the bits of sqrt(1/2), as an integer.
        exp: (exp(r) - 1 - r) / r² for |r| < ln(2)/2.
        exp_range: exp is 0 below it, and infinite above.
        log2_e, ln2: log2(e); ln(2) in two parts.
        log: (log((1 + s) / (1 - s)) - 2 s) / s³ in s², for s² < 0.0295.
        ln2_exact: ln(2) in two parts, the first with so few digits that its products with exponents
            are exact.
        tail_p, tail_q: P and Q of sqrt(pi) exp(a²) erfc(a) = Q(a) / (P(a) + a Q(a)), for a from 0
            to `tail_end`. All are positive, so that nothing cancels.
        tail_end: erfc is 0 above it; its square is the lower end of `exp_range`.
        centre: erf(x)/x - 1 in x², for x² < 0.563.
        per_sqrt_pi: 1 / sqrt(pi).
    """

    fraction_bits: int
    bias: int
    sqrt_half_bits: int
    exp: tuple[float, ...]
    exp_range: tuple[float, float]
    log2_e: float
    ln2: tuple[float, float]
    log: tuple[float, ...]
    ln2_exact: tuple[float, float]
    tail_p: tuple[float, ...]
    tail_q: tuple[float, ...]
    tail_end: float
    centre: tuple[float, ...]
    per_sqrt_pi: float


COEFFICIENTS = {
    "float64": Coefficients(
        fraction_bits=52,
        bias=1023,
        sqrt_half_bits=0x3FE6A09E667F3BCD,
        # 1.7e-17
        exp=(
            0.5000000000000001, 0.16666666666666669, 0.04166666666662399, 0.008333333333330051,
            0.0013888888917281794, 0.00019841269863105968, 2.480152119021773e-05,
            2.7557268378684192e-06, 2.7620138719733994e-07, 2.5100424157005067e-08,
        ),
        exp_range=(-784.0, 710.0),
        log2_e=1.4426950408889634,
        ln2=(0.6931471805599453, 2.3190468138462996e-17),
        # 4.4e-18 of the logarithm
        log=(
            0.666666666666667, 0.3999999999989827, 0.2857142862653362, 0.22222211043776857,
            0.18182895750119193, 0.1533150161114533, 0.1461916613488797,
        ),
        ln2_exact=(0.6931471803691238, 1.9082149292705877e-10),
        # 1.4e-17
        tail_p=(
            1.5899469924317398, 2.8073799417525507, 2.530751531997917, 1.4804638380519979,
            0.6105917342407425, 0.18279737834958731, 0.039624249036515395, 0.006005351185936517,
            0.0005807503685838722, 2.7641249513192302e-05,
        ),
        tail_q=(
            2.8181076694712806, 6.79102319487147, 8.089547958937112, 6.169842665535508,
            3.308802667100615, 1.298689300803022, 0.3775225568188219, 0.08040999800267512,
            0.012065984891452003, 0.0011615007368532112, 5.528249902855756e-05,
        ),
        tail_end=28.0,
        # 2.5e-17
        centre=(
            0.1283791670955126, -0.37612638903183715, 0.11283791670952574, -0.026866170644423006,
            0.005223977615352482, -0.0008548326183927565, 0.00012055289359577225,
            -1.4924190787307278e-05, 1.6430595993862833e-06, -1.5939288983225857e-07,
            1.1469591473651114e-08,
        ),
        per_sqrt_pi=0.5641895835477563,
    ),
    "float32": Coefficients(
        fraction_bits=23,
        bias=127,
        sqrt_half_bits=0x3F3504F3,
        # 9.7e-9
        exp=(
            0.5, 0.16666577756404877, 0.041666556149721146, 0.008363173343241215,
            0.0013926175888627768,
        ),
        exp_range=(-110.25, 89.0),
        log2_e=1.4426950216293335,
        ln2=(0.6931471824645996, -1.9046542121259336e-09),
        # 2.6e-9 of the logarithm
        log=(0.6666668653488159, 0.3998878002166748, 0.29579949378967285),
        ln2_exact=(0.693145751953125, 1.428606765330187e-06),
        # 1.0e-9, with 1 / per_sqrt_pi in place of sqrt(pi)
        tail_p=(
            0.9409977793693542, 0.825278103351593, 0.38238248229026794, 0.09605685621500015,
            0.011207766830921173,
        ),
        tail_q=(
            1.667875051498413, 2.5370032787323, 1.856043815612793, 0.7855843901634216,
            0.19223171472549438, 0.022411050274968147,
        ),
        tail_end=10.5,
        # 3.2e-9
        centre=(
            0.12837916612625122, -0.3761261999607086, 0.11283386498689651, -0.02683509886264801,
            0.005115296691656113, -0.0006756200455129147,
        ),
        per_sqrt_pi=0.564189612865448,
    ),
}  # fmt: skip
