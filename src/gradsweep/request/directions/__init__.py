"""The factors of a quantity: one tangent or cotangent; standard deviations and correlations."""
