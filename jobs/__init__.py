"""What runs on a node, once per unit of work: ``python -m jobs.train --config FILE`` needs no launcher."""
