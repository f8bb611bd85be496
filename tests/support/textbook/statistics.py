"""Statistics, as textbooks and lecture code write it in NumPy."""

import math

import numpy as np
from scipy.special import gamma

from tests.support.textbook.case import Case

SCHOOL_EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOL_ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

SAMPLE = np.array([4.8, 5.6, 5.1, 3.9, 7.4, 5.0, 4.4, 6.1])
BIMODAL = np.array([-2.3, -1.9, -1.1, -2.8, 1.7, 2.4, 3.1, 2.0, 0.4])

GP_X = np.array([-3.0, -1.8, -0.7, 0.4, 1.1, 2.5])
GP_Y = np.array([-0.2, -0.9, -0.6, 0.5, 0.8, 0.6])

DESIGN = np.array(
    [[1.0, 0.5, -1.2], [1.0, -0.3, 0.8], [1.0, 1.7, 0.1], [1.0, -1.1, -0.4], [1.0, 0.9, 1.3]]
)
LABELS = np.array([0, 1, 1, 0, 1])

DOSE = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
COUNTS = np.array([2, 3, 2, 6, 7, 11])

SERIES = np.array([0.6, 1.1, 0.9, 0.2, 0.5, 1.3, 1.6, 1.2, 0.7, 0.4])

FAILURE_TIMES = np.array([3.2, 5.1, 7.7, 8.4, 10.0, 10.0])
FAILURE_SEEN = np.array([True, True, True, True, False, False])


def eight_schools_log_posterior(mu, tau):
    """Log marginal posterior of the hierarchical mean and spread under a flat prior.

    Source: A. Gelman et al., Bayesian Data Analysis (3rd ed.), section 5.4 and 5.5.
    """
    variance = SCHOOL_ERRORS**2 + tau**2
    return -0.5 * np.sum(np.log(2 * np.pi * variance) + (SCHOOL_EFFECTS - mu) ** 2 / variance)


def student_t_log_likelihood(loc, scale, dof, data):
    """Log-likelihood of independent observations from a shifted, scaled Student t.

    Source: G. Casella and R. L. Berger, Statistical Inference, section 5.3 (Student's t).
    """
    const = gamma((dof + 1) / 2) / (gamma(dof / 2) * np.sqrt(dof * np.pi) * scale)
    z = (data - loc) / scale
    return len(data) * np.log(const) - (dof + 1) / 2 * np.sum(np.log(1 + z**2 / dof))


def grid_posterior_mean(a, b, successes=6, trials=9):
    """Posterior mean of a binomial proportion with a Beta prior, on a grid.

    Source: R. McElreath, Statistical Rethinking, ch. 2 (grid approximation).
    """
    p_grid = np.linspace(0.001, 0.999, 500)
    prior = p_grid ** (a - 1) * (1 - p_grid) ** (b - 1)
    likelihood = p_grid**successes * (1 - p_grid) ** (trials - successes)
    posterior = prior * likelihood
    posterior /= posterior.sum()
    return np.sum(p_grid * posterior)


def normal_mean_posterior(prior_mean, prior_sd, noise_sd, data):
    """Posterior mean and standard deviation of a normal mean with known variance.

    Source: K. P. Murphy, Machine Learning: A Probabilistic Perspective, ch. 4 (normal mean).
    """
    n = data.size
    precision = 1 / prior_sd**2 + n / noise_sd**2
    mean = (prior_mean / prior_sd**2 + n * data.mean() / noise_sd**2) / precision
    return np.array([mean, np.sqrt(1 / precision)])


def gp_predictive_mean(x_new, length_scale, signal_sd, noise_sd):
    """Predictive mean of Gaussian-process regression at one new input.

    Source: C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for ML, eq. (2.25).
    """

    def kernel(a, b):
        return signal_sd**2 * np.exp(-0.5 * (a - b) ** 2 / length_scale**2)

    K = kernel(GP_X[:, None], GP_X[None, :])
    K_noisy = K + noise_sd**2 * np.eye(len(GP_X))
    k_star = kernel(GP_X, x_new)
    return k_star @ np.linalg.solve(K_noisy, GP_Y)


def gp_log_marginal_likelihood(length_scale, signal_sd, noise_sd):
    """Log marginal likelihood of Gaussian-process regression, by a Cholesky factor.

    Source: C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for ML, algorithm 2.1.
    """
    n = len(GP_X)
    K = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            K[i, j] = signal_sd**2 * np.exp(-((GP_X[i] - GP_X[j]) ** 2) / (2 * length_scale**2))
        K[i, i] += noise_sd**2
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, GP_Y))
    return -0.5 * np.dot(GP_Y, alpha) - np.sum(np.log(np.diag(L))) - n / 2 * np.log(2 * np.pi)


def normal_pdf(x, mu=0.0, sigma=1.0):
    return np.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def mixture_log_likelihood(weight, mu1, mu2, sigma1, sigma2, data):
    """Log-likelihood of a mixture of two normals.

    Source: C. M. Bishop, Pattern Recognition and Machine Learning, section 9.2, eq. (9.14).
    """
    densities = [
        weight * normal_pdf(x, mu1, sigma1) + (1 - weight) * normal_pdf(x, mu2, sigma2)
        for x in data
    ]
    return sum(np.log(d) for d in densities)


def logistic_log_posterior(b0, b1, b2, prior_sd):
    """Log posterior of logistic regression with a normal prior on the coefficients.

    Source: C. M. Bishop, Pattern Recognition and Machine Learning, section 4.5.
    """
    beta = np.array([b0, b1, b2])
    eta = DESIGN @ beta
    log_lik = np.sum(LABELS * eta - np.log1p(np.exp(eta)))
    log_prior = -0.5 * beta @ beta / prior_sd**2 - 3 * np.log(prior_sd)
    return log_lik + log_prior


def poisson_regression_log_likelihood(intercept, slope, exposure, x, counts):
    """Log-likelihood of Poisson regression with a log link and a common exposure.

    Source: P. McCullagh and J. A. Nelder, Generalized Linear Models, ch. 6 (log-linear models).
    """
    total = 0.0
    for xi, yi in zip(x, counts):
        rate = exposure * np.exp(intercept + slope * xi)
        total += yi * np.log(rate) - rate - math.lgamma(yi + 1)
    return total


def ar1_log_likelihood(const, phi, sigma, series):
    """Exact log-likelihood of a stationary first-order Gaussian autoregression.

    Source: J. D. Hamilton, Time Series Analysis, section 5.2.
    """
    mean = const / (1 - phi)
    var0 = sigma**2 / (1 - phi**2)
    ll = -0.5 * np.log(2 * np.pi * var0) - (series[0] - mean) ** 2 / (2 * var0)
    for t in range(1, len(series)):
        resid = series[t] - const - phi * series[t - 1]
        ll += -0.5 * np.log(2 * np.pi * sigma**2) - resid**2 / (2 * sigma**2)
    return ll


def discounted_ridge(penalty, decay, x, y):
    """Intercept and slope of ridge regression with older observations discounted.

    Source: T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning, 3.4.
    """
    n = len(x)
    X = np.column_stack([np.ones(n), x])
    w = decay ** np.arange(n)[::-1]
    A = X.T @ (w[:, None] * X) + penalty * np.eye(2)
    return np.linalg.solve(A, X.T @ (w * y))


def weibull_censored_log_likelihood(shape, scale, times, observed):
    """Log-likelihood of Weibull lifetimes with right censoring.

    Source: J. P. Klein and M. L. Moeschberger, Survival Analysis, ch. 3 (censored data).
    """
    cumulative_hazard = (times / scale) ** shape
    log_hazard = np.log(shape / scale) + (shape - 1) * np.log(times / scale)
    return np.sum(np.where(observed, log_hazard - cumulative_hazard, -cumulative_hazard))


CASES = [
    Case(eight_schools_log_posterior, {"mu": (-5.0, 20.0), "tau": (0.5, 20.0)}),
    Case(
        student_t_log_likelihood,
        {"loc": (3.0, 7.0), "scale": (0.4, 2.0), "dof": (2.0, 30.0)},
        {"data": SAMPLE},
    ),
    Case(grid_posterior_mean, {"a": (1.1, 6.0), "b": (1.1, 6.0)}, {"successes": 6, "trials": 9}),
    Case(
        normal_mean_posterior,
        {"prior_mean": (0.0, 10.0), "prior_sd": (0.3, 5.0), "noise_sd": (0.5, 2.0)},
        {"data": SAMPLE},
    ),
    Case(
        gp_predictive_mean,
        {
            "x_new": (-3.0, 3.0),
            "length_scale": (0.4, 2.0),
            "signal_sd": (0.5, 2.0),
            "noise_sd": (0.1, 0.5),
        },
    ),
    Case(
        gp_log_marginal_likelihood,
        {"length_scale": (0.4, 2.0), "signal_sd": (0.5, 2.0), "noise_sd": (0.1, 0.5)},
    ),
    Case(
        mixture_log_likelihood,
        {
            "weight": (0.1, 0.9),
            "mu1": (-3.0, 0.0),
            "mu2": (0.5, 3.0),
            "sigma1": (0.5, 2.0),
            "sigma2": (0.5, 2.0),
        },
        {"data": BIMODAL},
    ),
    Case(
        logistic_log_posterior,
        {"b0": (-2.0, 2.0), "b1": (-2.0, 2.0), "b2": (-2.0, 2.0), "prior_sd": (0.5, 5.0)},
    ),
    Case(
        poisson_regression_log_likelihood,
        {"intercept": (-0.5, 1.5), "slope": (0.0, 1.0), "exposure": (0.5, 2.0)},
        {"x": DOSE, "counts": COUNTS},
    ),
    Case(
        ar1_log_likelihood,
        {"const": (-0.5, 1.0), "phi": (-0.8, 0.9), "sigma": (0.2, 1.5)},
        {"series": SERIES},
    ),
    Case(
        discounted_ridge,
        {"penalty": (0.01, 5.0), "decay": (0.5, 0.99)},
        {"x": GP_X, "y": GP_Y},
    ),
    Case(
        weibull_censored_log_likelihood,
        {"shape": (0.5, 4.0), "scale": (3.0, 20.0)},
        {"times": FAILURE_TIMES, "observed": FAILURE_SEEN},
    ),
]
