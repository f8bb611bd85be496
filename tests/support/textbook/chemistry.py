"""Chemistry and biology, as textbooks and lecture code write it in NumPy."""

import numpy as np

from tests.support.textbook.case import Case
from tests.support.textbook.physics import GAS_CONSTANT

R_LITRE_ATM = 0.082057
FARADAY = 96485.33212

# Antoine constants of ethanol and water, for mmHg and degrees Celsius
ANTOINE_A = np.array([8.20417, 8.07131])
ANTOINE_B = np.array([1642.89, 1730.63])
ANTOINE_C = np.array([230.300, 233.426])

# potassium, sodium, chloride (mmol/l)
ION_INSIDE = np.array([140.0, 10.0, 10.0])
ION_OUTSIDE = np.array([5.0, 145.0, 110.0])


def van_der_waals_volume(pressure, temperature, a, b):
    """Molar volume of a van der Waals gas, by Newton's method from the ideal-gas volume.

    Source: P. Atkins and J. de Paula, Physical Chemistry, ch. 1 (real gases).
    """
    V = R_LITRE_ATM * temperature / pressure
    for _ in range(12):
        f = (pressure + a / V**2) * (V - b) - R_LITRE_ATM * temperature
        df = pressure + a / V**2 - 2 * a * (V - b) / V**3
        V = V - f / df
    return V


def arrhenius(prefactor, activation_energy, temperature):
    return prefactor * np.exp(-activation_energy / (GAS_CONSTANT * temperature))


def intermediate_yield(temperature, time, A1, E1, A2, E2):
    """Share of the intermediate in consecutive first-order reactions with Arrhenius rates.

    Source: O. Levenspiel, Chemical Reaction Engineering, ch. 3 (irreversible reactions in series).
    """
    k1 = arrhenius(A1, E1, temperature)
    k2 = arrhenius(A2, E2, temperature)
    return k1 / (k2 - k1) * (np.exp(-k1 * time) - np.exp(-k2 * time))


def bubble_pressure(x1, celsius, A12, A21):
    """Bubble-point pressure (mmHg) of ethanol and water by Antoine and Margules equations.

    Source: J. M. Smith, H. Van Ness, M. Abbott, Chemical Engineering Thermodynamics, ch. on VLE.
    """
    x2 = 1 - x1
    log_gamma1 = x2**2 * (A12 + 2 * (A21 - A12) * x1)
    log_gamma2 = x1**2 * (A21 + 2 * (A12 - A21) * x2)
    activity = np.array([x1, x2]) * np.exp([log_gamma1, log_gamma2])
    p_sat = 10.0 ** (ANTOINE_A - ANTOINE_B / (celsius + ANTOINE_C))
    return np.sum(activity * p_sat)


def nernst_cell_potential(e_standard, temperature, zinc, copper, electrons=2):
    """Potential of a Daniell cell at given ion activities.

    Source: P. Atkins and J. de Paula, Physical Chemistry, ch. 6 (the Nernst equation).
    """
    activities = np.array([zinc, copper])
    stoichiometry = np.array([1.0, -1.0])
    quotient = np.prod(activities**stoichiometry)
    return e_standard - GAS_CONSTANT * temperature / (electrons * FARADAY) * np.log(quotient)


def michaelis_menten_mixed(substrate, v_max, k_m, inhibitor, k_ic, k_iu):
    """Rate of an enzyme under mixed inhibition.

    Source: A. Cornish-Bowden, Fundamentals of Enzyme Kinetics, ch. on reversible inhibition.
    """
    km_apparent = k_m * (1 + inhibitor / k_ic)
    return v_max * substrate / (km_apparent + substrate * (1 + inhibitor / k_iu))


def goldman_potential(temperature, p_k, p_na, p_cl):
    """Resting potential of a membrane in millivolts by the Goldman-Hodgkin-Katz equation.

    Source: B. Hille, Ion Channels of Excitable Membranes, ch. 14.
    """
    perm = np.array([p_k, p_na, p_cl])
    numerator = np.dot(perm[:2], ION_OUTSIDE[:2]) + perm[2] * ION_INSIDE[2]
    denominator = np.dot(perm[:2], ION_INSIDE[:2]) + perm[2] * ION_OUTSIDE[2]
    return 1e3 * GAS_CONSTANT * temperature / FARADAY * np.log(numerator / denominator)


def debye_huckel_activity(sodium_chloride, calcium_chloride, ion_size):
    """Mean activity coefficient of calcium chloride by the extended Debye-Hueckel law.

    Source: P. Atkins and J. de Paula, Physical Chemistry, ch. 5 (activities of ions).
    """
    molalities = [sodium_chloride, calcium_chloride, sodium_chloride + 2 * calcium_chloride]
    charges = [1, 2, -1]
    ionic_strength = 0.5 * sum(m * z**2 for m, z in zip(molalities, charges))
    root = np.sqrt(ionic_strength)
    log_gamma = -0.509 * abs(2 * -1) * root / (1 + 3.29 * ion_size * root)
    return 10**log_gamma


def sir_mean_infection_time(beta, recovery, infected0, days=120, dt=0.5):
    """Mean day of infection in an SIR epidemic, by Euler steps.

    Source: M. J. Keeling and P. Rohani, Modeling Infectious Diseases, ch. 2.
    """
    n = int(days / dt)
    S = np.zeros(n + 1)
    I = np.zeros(n + 1)  # noqa: E741
    S[0] = 1 - infected0
    I[0] = infected0
    for k in range(n):
        infections = beta * S[k] * I[k]
        S[k + 1] = S[k] - dt * infections
        I[k + 1] = I[k] + dt * (infections - recovery * I[k])
    new_cases = -np.diff(S)
    times = dt * np.arange(n)
    return np.sum(times * new_cases) / np.sum(new_cases)


def lotka_volterra_state(alpha, beta, delta, gam, prey0, predator0, t_end=5.0, steps=50):
    """Prey and predator numbers after a time, by the classical Runge-Kutta method.

    Source: J. D. Murray, Mathematical Biology I, ch. 3 (predator-prey models).
    """

    def rhs(state):
        prey, predator = state
        return np.array(
            [alpha * prey - beta * prey * predator, delta * prey * predator - gam * predator]
        )

    h = t_end / steps
    y = np.array([prey0, predator0])
    for _ in range(steps):
        k1 = rhs(y)
        k2 = rhs(y + h / 2 * k1)
        k3 = rhs(y + h / 2 * k2)
        k4 = rhs(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def weak_acid_ph(concentration, pka, kw=1e-14):
    """Acidity of a weak monoprotic acid in water, water's own ions included.

    Source: D. C. Harris, Quantitative Chemical Analysis, ch. on monoprotic acid-base equilibria.
    """
    ka = 10.0 ** (-pka)
    h = (-ka + np.sqrt(ka**2 + 4 * ka * concentration)) / 2
    for _ in range(6):
        f = h**3 + ka * h**2 - (kw + ka * concentration) * h - ka * kw
        df = 3 * h**2 + 2 * ka * h - (kw + ka * concentration)
        h -= f / df
    return -np.log10(h)


def fitzhugh_nagumo_mean_voltage(current, a, b, epsilon, dt=0.1, steps=300):
    """Time average of the voltage of a FitzHugh-Nagumo neuron, by Euler steps.

    Source: E. M. Izhikevich, Dynamical Systems in Neuroscience, ch. 4 (FitzHugh-Nagumo model).
    """
    v = np.empty(steps)
    v[0] = -1.0
    w = -0.5
    for i in range(1, steps):
        v[i] = v[i - 1] + dt * (v[i - 1] - v[i - 1] ** 3 / 3 - w + current)
        w += dt * epsilon * (v[i - 1] + a - b * w)
    return v.mean()


def leslie_growth_rate(fecundity2, fecundity3, survival1, survival2, immigration, years=10):
    """Mean yearly log growth of an age-structured population with immigration of juveniles.

    Source: H. Caswell, Matrix Population Models, ch. 2.
    """
    leslie = np.array([[0.0, fecundity2, fecundity3], [survival1, 0.0, 0.0], [0.0, survival2, 0.0]])
    start = np.array([100.0, 50.0, 20.0])
    n = start.copy()
    for _ in range(years):
        n = leslie @ n
        n[0] += immigration
    return np.log(n.sum() / start.sum()) / years


CASES = [
    Case(
        van_der_waals_volume,
        {
            "pressure": (1.0, 10.0),
            "temperature": (400.0, 600.0),
            "a": (1.0, 4.0),
            "b": (0.03, 0.05),
        },
    ),
    Case(
        intermediate_yield,
        {
            "temperature": (300.0, 340.0),
            "time": (5.0, 50.0),
            "A1": (1e7, 2e7),
            "E1": (50e3, 52e3),
            "A2": (1e7, 2e7),
            "E2": (55e3, 58e3),
        },
    ),
    Case(
        bubble_pressure,
        {"x1": (0.05, 0.95), "celsius": (30.0, 90.0), "A12": (1.0, 2.0), "A21": (0.5, 1.2)},
    ),
    Case(
        nernst_cell_potential,
        {
            "e_standard": (1.0, 1.2),
            "temperature": (280.0, 340.0),
            "zinc": (0.01, 2.0),
            "copper": (0.01, 2.0),
        },
        {"electrons": 2},
    ),
    Case(
        michaelis_menten_mixed,
        {
            "substrate": (0.1, 20.0),
            "v_max": (0.5, 5.0),
            "k_m": (0.2, 5.0),
            "inhibitor": (0.0, 3.0),
            "k_ic": (0.5, 5.0),
            "k_iu": (0.5, 10.0),
        },
    ),
    Case(
        goldman_potential,
        {
            "temperature": (285.0, 312.0),
            "p_k": (0.5, 1.5),
            "p_na": (0.01, 1.0),
            "p_cl": (0.1, 0.6),
        },
    ),
    Case(
        debye_huckel_activity,
        {
            "sodium_chloride": (0.001, 0.1),
            "calcium_chloride": (0.001, 0.05),
            "ion_size": (0.3, 0.6),
        },
    ),
    Case(
        sir_mean_infection_time,
        {"beta": (0.2, 0.6), "recovery": (0.05, 0.15), "infected0": (0.001, 0.02)},
        {"days": 120, "dt": 0.5},
    ),
    Case(
        lotka_volterra_state,
        {
            "alpha": (0.5, 1.2),
            "beta": (0.2, 0.6),
            "delta": (0.1, 0.4),
            "gam": (0.3, 0.9),
            "prey0": (1.0, 4.0),
            "predator0": (0.5, 3.0),
        },
        {"t_end": 5.0, "steps": 50},
    ),
    Case(weak_acid_ph, {"concentration": (0.001, 0.2), "pka": (3.0, 6.0)}),
    Case(
        fitzhugh_nagumo_mean_voltage,
        {"current": (0.0, 0.6), "a": (0.6, 0.8), "b": (0.7, 0.9), "epsilon": (0.06, 0.1)},
        {"dt": 0.1, "steps": 300},
    ),
    Case(
        leslie_growth_rate,
        {
            "fecundity2": (0.5, 2.0),
            "fecundity3": (0.5, 3.0),
            "survival1": (0.2, 0.7),
            "survival2": (0.3, 0.9),
            "immigration": (0.0, 10.0),
        },
        {"years": 10},
    ),
]
