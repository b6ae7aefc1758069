"""Kernels of our own for the CPU, which nothing needs."""
