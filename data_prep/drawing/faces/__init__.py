"""Portraits of 178 x 218 pixels with CelebA's forty attributes."""
