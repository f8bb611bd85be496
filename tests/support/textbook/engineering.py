"""Control, robotics and engineering, as textbooks and lecture code write it in NumPy."""

from math import pi, sqrt

import numpy as np

from tests.support.textbook.case import Case

# d, a, alpha of each joint of a small arm
DH_TABLE = [(0.40, 0.025, np.pi / 2), (0.0, 0.455, 0.0), (0.0, 0.035, np.pi / 2)]

VOLTAGES = np.array([-0.41, -0.35, -0.28, -0.44, -0.39, -0.33, -0.40, -0.37])

SPRINGS = [(0, 1), (1, 2), (2, 3), (1, 3)]

WALL_THICKNESS = np.array([0.10, 0.05, 0.012])


def pid_squared_error(kp, ki, kd, damping, dt=0.02, n_steps=300):
    """Integrated squared error of a PID loop around a damped unit mass after a unit step.

    Source: K. J. Astrom and R. M. Murray, Feedback Systems, ch. on PID control.
    """
    position, velocity, integral = 0.0, 0.0, 0.0
    previous_error = 1.0
    cost = 0.0
    for _ in range(n_steps):
        error = 1.0 - position
        integral += error * dt
        derivative = (error - previous_error) / dt
        u = np.clip(kp * error + ki * integral + kd * derivative, -10.0, 10.0)
        velocity += dt * (u - damping * velocity)
        position += dt * velocity
        previous_error = error
        cost += error**2 * dt
    return cost


def two_link_tip(theta1, theta2, l1, l2):
    """Position of the tip of a planar two-link arm.

    Source: J. J. Craig, Introduction to Robotics, ch. 3 (manipulator kinematics).
    """
    x = l1 * np.cos(theta1) + l2 * np.cos(theta1 + theta2)
    y = l1 * np.sin(theta1) + l2 * np.sin(theta1 + theta2)
    return np.array([x, y])


def dh_matrix(theta, d, a, alpha):
    ct, st = np.cos(theta), np.sin(theta)
    ca, sa = np.cos(alpha), np.sin(alpha)
    return np.array(
        [
            [ct, -st * ca, st * sa, a * ct],
            [st, ct * ca, -ct * sa, a * st],
            [0, sa, ca, d],
            [0, 0, 0, 1],
        ]
    )


def dh_tool_position(q1, q2, q3, tool_length):
    """Position of the tool of a three-joint arm by Denavit-Hartenberg matrices.

    Source: M. W. Spong, S. Hutchinson, M. Vidyasagar, Robot Modeling and Control, ch. 3.
    """
    T = np.eye(4)
    for q, (d, a, alpha) in zip([q1, q2, q3], DH_TABLE):
        T = T @ dh_matrix(q, d, a, alpha)
    tool = T @ np.array([0.0, 0.0, tool_length, 1.0])
    return tool[:3]


def bode_magnitude_db(omega, gain, zeta, omega_n, tau):
    """Magnitude in decibels of a second-order resonance followed by a first-order lag.

    Source: K. Ogata, Modern Control Engineering, ch. 7 (Bode diagrams).
    """
    u = omega / omega_n
    resonance = (1 - u**2) ** 2 + (2 * zeta * u) ** 2
    lag = 1 + (omega * tau) ** 2
    return 20 * np.log10(gain) - 10 * np.log10(resonance) - 10 * np.log10(lag)


def beam_deflection(x, load, a, length, EI):
    """Deflection of a simply supported beam under one point load.

    Source: R. C. Hibbeler, Mechanics of Materials, appendix on slopes and deflections of beams.
    """
    b = length - a
    left = b * x * (length**2 - b**2 - x**2)
    right = a * (length - x) * (2 * length * x - x**2 - a**2)
    return -load / (6 * length * EI) * np.where(x <= a, left, right)


def pipe_pressure_drop(velocity, diameter, roughness, length, rho=998.0, mu=1.0e-3):
    """Pressure drop along a pipe, with the friction factor from Colebrook's equation.

    Source: F. M. White, Fluid Mechanics, ch. 6 (viscous flow in ducts).
    """
    Re = rho * velocity * diameter / mu
    if Re < 2300:
        f = 64 / Re
    else:
        inv_sqrt_f = 7.0
        for _ in range(10):
            inv_sqrt_f = -2.0 * np.log10(roughness / diameter / 3.7 + 2.51 * inv_sqrt_f / Re)
        f = 1 / inv_sqrt_f**2
    return f * length / diameter * rho * velocity**2 / 2


def kalman_constant(q, r, x0, p0, measurements):
    """Estimate of a nearly constant voltage after a run of scalar Kalman steps.

    Source: G. Welch and G. Bishop, An Introduction to the Kalman Filter (example).
    """
    x, P = x0, p0
    for z in measurements:
        P = P + q
        gain = P / (P + r)
        x = x + gain * (z - x)
        P = (1 - gain) * P
    return x


def quintic_position(t, t_final, q0, qf, v0, vf):
    """Joint position on a fifth-order path with no acceleration at either end.

    Source: J. J. Craig, Introduction to Robotics, ch. 7 (higher-order polynomials).
    """
    T = t_final
    M = np.array(
        [
            [1, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0],
            [0, 0, 2, 0, 0, 0],
            [1, T, T**2, T**3, T**4, T**5],
            [0, 1, 2 * T, 3 * T**2, 4 * T**3, 5 * T**4],
            [0, 0, 2, 6 * T, 12 * T**2, 20 * T**3],
        ]
    )
    coeffs = np.linalg.solve(M, np.array([q0, v0, 0.0, qf, vf, 0.0]))
    return np.polyval(coeffs[::-1], t)


def spring_network_energy(k1, k2, k3, k4, force):
    """Strain energy of a small spring network pulled at its last node, node 0 held.

    Source: D. L. Logan, A First Course in the Finite Element Method, ch. 2 (spring assemblages).
    """
    K = np.zeros((4, 4))
    for (i, j), k in zip(SPRINGS, [k1, k2, k3, k4]):
        K[i, i] += k
        K[j, j] += k
        K[i, j] -= k
        K[j, i] -= k
    f = np.array([0.0, 0.0, force])
    u = np.linalg.solve(K[1:, 1:], f)
    return 0.5 * np.dot(f, u)


def column_critical_stress(length, diameter, modulus, yield_stress):
    """Critical stress of a round column: Euler's when slender, Johnson's parabola otherwise.

    Source: J. E. Shigley, Mechanical Engineering Design, ch. 4 (columns).
    """
    radius_of_gyration = diameter / 4
    slenderness = length / radius_of_gyration
    transition = sqrt(2 * pi**2 * modulus / yield_stress)
    if slenderness > transition:
        return pi**2 * modulus / slenderness**2
    return yield_stress * (1 - yield_stress * slenderness**2 / (4 * pi**2 * modulus))


def fin_heat_rate(h, k, thickness, length, base_excess, width=1.0):
    """Heat given off by a straight rectangular fin, with a corrected length for the tip.

    Source: F. P. Incropera and D. P. DeWitt, Fundamentals of Heat and Mass Transfer, ch. 3.
    """
    perimeter = 2 * (width + thickness)
    area = width * thickness
    m = np.sqrt(h * perimeter / (k * area))
    corrected_length = length + thickness / 2
    return np.sqrt(h * perimeter * k * area) * base_excess * np.tanh(m * corrected_length)


def wall_temperatures(t_inside, t_outside, h_inside, h_outside, k_insulation):
    """Temperatures at the faces of the layers of a plane wall.

    Source: Y. A. Cengel, Heat Transfer: A Practical Approach, ch. 3 (multilayer plane walls).
    """
    layers = WALL_THICKNESS / np.array([0.72, k_insulation, 0.17])
    resistances = np.concatenate(([1 / h_inside], layers, [1 / h_outside]))
    flux = (t_inside - t_outside) / resistances.sum()
    return t_inside - flux * np.cumsum(resistances)[:-1]


CASES = [
    Case(
        pid_squared_error,
        {"kp": (1.0, 4.0), "ki": (0.1, 1.0), "kd": (0.5, 2.0), "damping": (0.2, 1.5)},
        {"dt": 0.02, "n_steps": 300},
    ),
    Case(
        two_link_tip,
        {"theta1": (-1.5, 1.5), "theta2": (0.1, 2.5), "l1": (0.3, 1.0), "l2": (0.2, 0.8)},
    ),
    Case(
        dh_tool_position,
        {"q1": (-2.0, 2.0), "q2": (-1.0, 1.5), "q3": (-1.5, 1.5), "tool_length": (0.2, 0.6)},
    ),
    Case(
        bode_magnitude_db,
        {
            "omega": (0.1, 50.0),
            "gain": (0.5, 20.0),
            "zeta": (0.1, 1.2),
            "omega_n": (2.0, 15.0),
            "tau": (0.02, 0.5),
        },
    ),
    Case(
        beam_deflection,
        {
            "x": (0.2, 3.8),
            "load": (500.0, 5000.0),
            "a": (1.0, 3.0),
            "length": (4.0, 6.0),
            "EI": (1e6, 5e6),
        },
    ),
    Case(
        pipe_pressure_drop,
        {
            "velocity": (0.5, 3.0),
            "diameter": (0.02, 0.1),
            "roughness": (1e-5, 1e-4),
            "length": (10.0, 100.0),
        },
    ),
    Case(
        kalman_constant,
        {"q": (1e-5, 1e-2), "r": (0.001, 0.1), "x0": (-1.0, 1.0), "p0": (0.1, 2.0)},
        {"measurements": VOLTAGES},
    ),
    Case(
        quintic_position,
        {
            "t": (0.1, 1.4),
            "t_final": (1.5, 3.0),
            "q0": (-1.0, 1.0),
            "qf": (-1.0, 2.0),
            "v0": (-0.5, 0.5),
            "vf": (-0.5, 0.5),
        },
    ),
    Case(
        spring_network_energy,
        {
            "k1": (50.0, 500.0),
            "k2": (50.0, 500.0),
            "k3": (50.0, 500.0),
            "k4": (50.0, 500.0),
            "force": (1.0, 50.0),
        },
    ),
    Case(
        column_critical_stress,
        {
            "length": (0.5, 3.0),
            "diameter": (0.03, 0.08),
            "modulus": (190e9, 210e9),
            "yield_stress": (250e6, 400e6),
        },
    ),
    Case(
        fin_heat_rate,
        {
            "h": (10.0, 100.0),
            "k": (20.0, 400.0),
            "thickness": (0.001, 0.005),
            "length": (0.01, 0.1),
            "base_excess": (20.0, 100.0),
        },
    ),
    Case(
        wall_temperatures,
        {
            "t_inside": (18.0, 24.0),
            "t_outside": (-15.0, 10.0),
            "h_inside": (5.0, 10.0),
            "h_outside": (15.0, 40.0),
            "k_insulation": (0.025, 0.06),
        },
    ),
]
