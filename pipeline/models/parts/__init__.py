"""What systems are made of: densities, label layouts, classifiers, priors, and the VAEs that they derive from."""
