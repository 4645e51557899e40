"""Pictures drawn from named factors, written in the raw layouts of CelebA and CheXpert."""
