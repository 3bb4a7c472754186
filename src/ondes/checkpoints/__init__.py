"""Readers of models that others published: files in, our networks out."""
