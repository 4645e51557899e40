"""Chest radiographs with CheXpert's observations."""
