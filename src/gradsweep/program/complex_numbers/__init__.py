"""Complex numbers, written as equations of their real and imaginary parts."""
