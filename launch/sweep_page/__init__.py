"""The report page of a sweep, ``runs/SWEEP/report.html``: what is read from the sweep's folder for it."""
