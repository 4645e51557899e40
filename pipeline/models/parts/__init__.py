"""Parts of systems: densities, label layouts, classifiers, priors, and base VAEs."""
