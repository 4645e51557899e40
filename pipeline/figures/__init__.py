"""Figures of what a model has learned."""
