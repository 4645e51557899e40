"""Trained models that are handed on: a folder with weights, a description and a model card, nothing of it pickled."""
