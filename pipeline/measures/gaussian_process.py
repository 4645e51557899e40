"""A sparse variational Gaussian process as the last layer of a classifier (Hensman et al. 2015), with GPyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import gpytorch
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

SAMPLES_PER_STEP = 8
"""Of the latent functions, for the expected log-likelihood."""


class LabelProcess(gpytorch.models.ApproximateGP):
    """A process per value of each label, whose softmax over a label's values gives ``p(y_i | features)``."""

    def __init__(
        self,
        inducing: Float[Tensor, "point feature"],
        cardinalities: Sequence[int],
        scale: Float[Tensor, "2 feature"],
    ) -> None:
        """``scale``: mean and standard deviation of the features; inducing points are standardised."""
        outputs = torch.Size([sum(cardinalities)])
        variational, kernels = gpytorch.variational, gpytorch.kernels
        strategy = variational.IndependentMultitaskVariationalStrategy(
            variational.VariationalStrategy(
                self,
                inducing,
                variational.CholeskyVariationalDistribution(len(inducing), batch_shape=outputs),
                learn_inducing_locations=True,
            ),
            num_tasks=sum(cardinalities),
        )
        super().__init__(strategy)
        self.cardinalities = tuple(cardinalities)
        # One kernel for all of them, so that its matrix is factorised once.
        self.mean_module = gpytorch.means.ZeroMean()
        kernel = kernels.RBFKernel()
        kernel.lengthscale = math.sqrt(inducing.shape[1])
        self.covar_module = kernels.ScaleKernel(kernel)
        self.covar_module.outputscale = 10.0
        self.register_buffer("scale", scale)

    def forward(self, features: Tensor) -> object:
        """The prior at standardised features."""
        return gpytorch.distributions.MultivariateNormal(
            self.mean_module(features), self.covar_module(features)
        )

    def log_probabilities(
        self, features: Float[Tensor, "row feature"], samples: int
    ) -> list[Float[Tensor, "sample row value"]]:
        """``log p(y_i | f)`` of each label at samples of the functions' values, independent between rows."""
        mean, deviation = self.scale
        found = self((features - mean) / deviation)
        noise = torch.randn(samples, *found.mean.shape, device=features.device, dtype=features.dtype)
        drawn = found.mean + found.variance.clamp(min=0).sqrt() * noise
        return [each.log_softmax(-1) for each in drawn.split(self.cardinalities, dim=-1)]


def fit(
    features: Float[Tensor, "row feature"],
    labels: UInt8[Tensor, "row label"],
    observed: Bool[Tensor, "row label"],
    cardinalities: Sequence[int],
    *,
    inducing: int,
    steps: int,
    batch_size: int,
    alive: Callable[[], None],
) -> LabelProcess:
    """The process that maximises the evidence lower bound of the observed labels by Adam, its rate falling to 0.

    ``alive`` is called at each step. Random numbers are torch's.
    """
    deviation = features.std(0).clamp(min=1e-6)
    scale = torch.stack([features.mean(0), deviation])
    standardised = (features - scale[0]) / deviation
    process = LabelProcess(centres(standardised, inducing), cardinalities, scale).to(features.device)
    optimiser = torch.optim.Adam(process.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    process.train()
    with torch.enable_grad():
        for _ in range(steps):
            alive()
            rows = torch.randint(len(features), (min(batch_size, len(features)),), device=features.device)
            log_p = process.log_probabilities(features[rows], SAMPLES_PER_STEP)
            likelihood = torch.zeros((), device=features.device)
            for label, of_label in enumerate(log_p):
                values = labels[rows, label].long().masked_fill(~observed[rows, label], 0)
                of_values = of_label.gather(-1, values[None, :, None].expand(len(of_label), -1, 1))[..., 0]
                likelihood = likelihood + (of_values * observed[rows, label]).sum() / SAMPLES_PER_STEP
            bound = likelihood / len(rows) - process.variational_strategy.kl_divergence().sum() / len(
                features
            )
            optimiser.zero_grad()
            (-bound).backward()
            optimiser.step()
            schedule.step()
    return process.eval()


def centres(features: Float[Tensor, "row feature"], count: int) -> Float[Tensor, "point feature"]:
    """k-means centres of some of the rows, as inducing points; all rows if there are no more than that."""
    from sklearn.cluster import MiniBatchKMeans

    if len(features) <= count:
        return features.clone()
    seed = int(torch.randint(2**31, ()))
    means = MiniBatchKMeans(count, n_init=1, random_state=seed).fit(features.cpu().numpy())
    return torch.from_numpy(means.cluster_centers_).to(features)


def mutual_information(
    log_probabilities: Float[Tensor, "sample row value"],
) -> Float[Tensor, " row"]:
    """``H[E p] − E H[p]`` in nats: what the label would tell about the function (eq. 7 of Joy et al. 2020, C.3)."""
    log_p = log_probabilities.double()
    mean = log_p.logsumexp(0) - math.log(len(log_p))
    return _entropy(mean) - _entropy(log_p).mean(0)


def _entropy(log_p: Float[Tensor, "*rows value"]) -> Float[Tensor, "*rows"]:
    return -(log_p.exp() * log_p).sum(-1)
