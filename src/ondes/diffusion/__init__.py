"""Diffusion as functions on tensors and callables."""
