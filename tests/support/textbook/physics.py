"""Physics, as textbooks and lecture code write it in NumPy."""

import math
from math import sqrt

import numpy as np

from tests.support.textbook.case import Case

PLANCK = 6.62607015e-34
LIGHT_SPEED = 2.99792458e8
BOLTZMANN = 1.380649e-23
MU_0 = 4e-7 * np.pi
GAS_CONSTANT = 8.314462618

BODY_MASSES = np.array([1.0, 2.0, 1.5, 0.5])
BODY_POSITIONS = np.array([[1.0, 0.0, 0.2], [-0.5, 0.8, 0.0], [0.0, -0.6, 0.4], [0.3, 0.3, -0.9]])


def projectile_range(speed, angle, height, g=9.81):
    """Horizontal range of a drag-free projectile launched above the landing plane.

    Source: J. R. Taylor, Classical Mechanics, ch. 1 (projectile motion).
    """
    vx = speed * math.cos(angle)
    vy = speed * math.sin(angle)
    flight_time = (vy + sqrt(vy**2 + 2 * g * height)) / g
    return vx * flight_time


def pendulum_period(length, amplitude, g=9.81):
    """Period of a plane pendulum at finite amplitude, by the arithmetic-geometric mean.

    Source: L. D. Landau and E. M. Lifshitz, Mechanics, section 11 (problem on the pendulum).
    """
    a, b = 1.0, np.cos(amplitude / 2)
    for _ in range(5):
        a, b = (a + b) / 2, np.sqrt(a * b)
    return 2 * np.pi * np.sqrt(length / g) / a


def kepler_radius(semi_major, eccentricity, mean_anomaly):
    """Distance from the focus on an elliptic orbit, solving Kepler's equation by Newton steps.

    Source: H. D. Curtis, Orbital Mechanics for Engineering Students, ch. 3 (algorithm 3.1).
    """
    E = mean_anomaly + eccentricity * np.sin(mean_anomaly)
    for _ in range(8):
        f = E - eccentricity * np.sin(E) - mean_anomaly
        E -= f / (1 - eccentricity * np.cos(E))
    return semi_major * (1 - eccentricity * np.cos(E))


def thin_film_reflectance(n_outside, n_film, n_substrate, thickness, wavelength):
    """Reflectance at normal incidence of one lossless film on a substrate.

    Source: M. Born and E. Wolf, Principles of Optics, section 1.6 (homogeneous film).
    """
    r12 = (n_outside - n_film) / (n_outside + n_film)
    r23 = (n_film - n_substrate) / (n_film + n_substrate)
    phase = 2 * np.pi * n_film * thickness / wavelength
    cross = 2 * r12 * r23 * np.cos(2 * phase)
    return (r12**2 + r23**2 + cross) / (1 + r12**2 * r23**2 + cross)


def double_slit_intensity(theta, slit_width, separation, wavelength):
    """Relative Fraunhofer intensity behind two slits of finite width.

    Source: E. Hecht, Optics, ch. 10 (the double slit).
    """
    envelope = np.sinc(slit_width * np.sin(theta) / wavelength) ** 2
    fringes = np.cos(np.pi * separation * np.sin(theta) / wavelength) ** 2
    return envelope * fringes


def fresnel_reflectances(theta_i, n1, n2):
    """Reflectances for s and p polarisation at a dielectric interface.

    Source: E. Hecht, Optics, ch. 4 (the Fresnel equations).
    """
    sin_t = n1 / n2 * np.sin(theta_i)
    if sin_t >= 1.0:
        return np.array([1.0, 1.0])
    cos_i = np.cos(theta_i)
    cos_t = np.sqrt(1 - sin_t**2)
    r_s = (n1 * cos_i - n2 * cos_t) / (n1 * cos_i + n2 * cos_t)
    r_p = (n2 * cos_i - n1 * cos_t) / (n2 * cos_i + n1 * cos_t)
    return np.array([r_s, r_p]) ** 2


def planck_band_radiance(temperature, lower_um, upper_um, intervals=200):
    """Black-body radiance between two wavelengths in micrometres, by Simpson's rule.

    Source: F. Reif, Fundamentals of Statistical and Thermal Physics, ch. 9 (Planck's law).
    """
    lam = np.linspace(lower_um, upper_um, intervals + 1) * 1e-6
    exponent = PLANCK * LIGHT_SPEED / (lam * BOLTZMANN * temperature)
    f = 2 * PLANCK * LIGHT_SPEED**2 / lam**5 / np.expm1(exponent)
    h = (lam[-1] - lam[0]) / intervals
    return h / 3 * (f[0] + f[-1] + 4 * np.sum(f[1:-1:2]) + 2 * np.sum(f[2:-1:2]))


def debye_heat_capacity(temperature, debye_temperature):
    """Molar heat capacity of a solid in the Debye model, by the trapezoidal rule.

    Source: C. Kittel, Introduction to Solid State Physics, ch. 5 (Debye model).
    """
    x = np.linspace(1e-4, debye_temperature / temperature, 400)
    integrand = x**4 * np.exp(x) / (np.exp(x) - 1) ** 2
    integral = np.trapezoid(integrand, x)
    return 9 * GAS_CONSTANT * (temperature / debye_temperature) ** 3 * integral


def rotational_energy(wx, wy, wz):
    """Kinetic energy of a rigid set of point masses turning about the origin.

    Source: H. Goldstein, Classical Mechanics, ch. 5 (inertia tensor).
    """
    omega = np.array([wx, wy, wz])
    r_squared = np.einsum("ni,ni->n", BODY_POSITIONS, BODY_POSITIONS)
    inertia = np.sum(BODY_MASSES * r_squared) * np.eye(3)
    inertia -= np.einsum("n,ni,nj->ij", BODY_MASSES, BODY_POSITIONS, BODY_POSITIONS)
    return 0.5 * np.einsum("i,ij,j->", omega, inertia, omega)


def loop_field_z(current, radius, x, z, segments=60):
    """Axial magnetic field of a circular loop at a point off its axis, by summing Biot-Savart.

    Source: D. J. Griffiths, Introduction to Electrodynamics, ch. 5 (Biot-Savart law).
    """
    point = np.array([x, 0.0, z])
    field_sum = np.zeros(3)
    dphi = 2 * np.pi / segments
    for k in range(segments):
        phi = k * dphi
        source = np.array([radius * np.cos(phi), radius * np.sin(phi), 0.0])
        dl = np.array([-radius * np.sin(phi), radius * np.cos(phi), 0.0]) * dphi
        sep = point - source
        field_sum += np.cross(dl, sep) / np.dot(sep, sep) ** 1.5
    return MU_0 * current / (4 * np.pi) * field_sum[2]


def barrier_transmission(energy, height, width, mass=1.0):
    """Transmission probability through a rectangular barrier, in units with hbar = 1.

    Source: D. J. Griffiths, Introduction to Quantum Mechanics, ch. 2 (problem on the barrier).
    """
    if energy < height:
        kappa = np.sqrt(2 * mass * (height - energy))
        term = height**2 * np.sinh(kappa * width) ** 2 / (4 * energy * (height - energy))
    elif energy > height:
        k = np.sqrt(2 * mass * (energy - height))
        term = height**2 * np.sin(k * width) ** 2 / (4 * energy * (energy - height))
    else:
        term = mass * height * width**2 / 2
    return 1 / (1 + term)


def three_site_levels(site_energy, hopping, detuning, end_coupling):
    """Energy levels of a three-site tight-binding molecule.

    Source: R. P. Feynman, Lectures on Physics, vol. III, ch. 15 (independent particles).
    """
    hamiltonian = np.array(
        [
            [site_energy, -hopping, -end_coupling],
            [-hopping, site_energy + detuning, -hopping],
            [-end_coupling, -hopping, site_energy - detuning],
        ]
    )
    return np.linalg.eigvalsh(hamiltonian)


CASES = [
    Case(projectile_range, {"speed": (5.0, 50.0), "angle": (0.2, 1.3), "height": (0.5, 20.0)}),
    Case(pendulum_period, {"length": (0.2, 3.0), "amplitude": (0.1, 2.5), "g": (9.7, 9.9)}),
    Case(
        kepler_radius,
        {"semi_major": (0.5, 5.0), "eccentricity": (0.05, 0.6), "mean_anomaly": (0.1, 6.0)},
    ),
    Case(
        thin_film_reflectance,
        {
            "n_outside": (1.0, 1.1),
            "n_film": (1.25, 1.45),
            "n_substrate": (1.5, 2.2),
            "thickness": (50.0, 300.0),
            "wavelength": (400.0, 700.0),
        },
    ),
    Case(
        double_slit_intensity,
        {
            "theta": (0.005, 0.1),
            "slit_width": (2.0, 5.0),
            "separation": (10.0, 20.0),
            "wavelength": (0.4, 0.7),
        },
    ),
    Case(fresnel_reflectances, {"theta_i": (0.1, 1.3), "n1": (1.0, 1.3), "n2": (1.4, 2.0)}),
    Case(
        planck_band_radiance,
        {"temperature": (500.0, 4000.0), "lower_um": (1.0, 3.0), "upper_um": (4.0, 10.0)},
        {"intervals": 200},
    ),
    Case(debye_heat_capacity, {"temperature": (30.0, 400.0), "debye_temperature": (100.0, 500.0)}),
    Case(rotational_energy, {"wx": (-2.0, 2.0), "wy": (-2.0, 2.0), "wz": (-2.0, 2.0)}),
    Case(
        loop_field_z,
        {"current": (0.5, 10.0), "radius": (0.08, 0.2), "x": (0.0, 0.05), "z": (0.02, 0.3)},
        {"segments": 60},
    ),
    Case(barrier_transmission, {"energy": (0.3, 2.6), "height": (1.0, 2.0), "width": (0.3, 2.0)}),
    Case(
        three_site_levels,
        {
            "site_energy": (-1.0, 1.0),
            "hopping": (0.5, 1.5),
            "detuning": (0.2, 1.0),
            "end_coupling": (0.05, 0.3),
        },
    ),
]
