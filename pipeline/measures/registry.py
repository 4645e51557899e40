"""All measures, and how a run, a recipe or a command line selects one: ``NAME`` or ``NAME:FIELD=VALUE,...``.

Nothing here imports torch, since a launcher needs it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from dataclasses import fields
from functools import cache

from data_prep.errors import ConfigError
from pipeline.measures.attribute_styles import AttributeStyles
from pipeline.measures.attribute_switching import AttributeSwitching
from pipeline.measures.attribute_switching_grid import AttributeSwitchingGrid
from pipeline.measures.characteristic_swap import CharacteristicSwap
from pipeline.measures.classification import Classification
from pipeline.measures.conditional_synthesis import ConditionalSynthesis
from pipeline.measures.disentanglement import Disentanglement
from pipeline.measures.diversity import Diversity
from pipeline.measures.factor_interventions import FactorInterventions
from pipeline.measures.factor_separation import FactorSeparation
from pipeline.measures.feature_matching import FeatureMatching
from pipeline.measures.fid import FID
from pipeline.measures.frechet_classifier import FrechetClassifier
from pipeline.measures.generation_accuracy import GenerationAccuracy
from pipeline.measures.generation_grid import GenerationGrid
from pipeline.measures.identity_error import IdentityError
from pipeline.measures.importance_weighted_bound import ImportanceWeightedBound
from pipeline.measures.intervention_grid import InterventionGrid
from pipeline.measures.latent_histogram import LatentHistogram
from pipeline.measures.latent_separation import LatentSeparation
from pipeline.measures.likelihood import Likelihood
from pipeline.measures.linear_probes import LinearProbes
from pipeline.measures.measure import Measure
from pipeline.measures.mutual_information import MutualInformation
from pipeline.measures.naturalness import Naturalness
from pipeline.measures.reconstruction import Reconstruction
from pipeline.measures.reconstruction_grid import ReconstructionGrid
from pipeline.measures.single_interventions import SingleInterventions
from pipeline.measures.subspace_views import SubspaceViews
from pipeline.measures.swap_grid import SwapGrid
from pipeline.measures.traversal_grid import TraversalGrid
from pipeline.measures.traversal_plane import TraversalPlane
from pipeline.validation import validated

_ALL: tuple[type[Measure], ...] = (
    Classification,
    Likelihood,
    CharacteristicSwap,
    SingleInterventions,
    FactorInterventions,
    FeatureMatching,
    GenerationAccuracy,
    FrechetClassifier,
    FID,
    Naturalness,
    AttributeSwitching,
    IdentityError,
    ReconstructionGrid,
    GenerationGrid,
    InterventionGrid,
    AttributeSwitchingGrid,
    SwapGrid,
    TraversalGrid,
    TraversalPlane,
    SubspaceViews,
    AttributeStyles,
    ConditionalSynthesis,
    LatentHistogram,
    LatentSeparation,
    Diversity,
    Reconstruction,
    ImportanceWeightedBound,
    Disentanglement,
    FactorSeparation,
    LinearProbes,
    MutualInformation,
)
MEASURES: dict[str, type[Measure]] = {measure.name: measure for measure in _ALL}
"""By name."""

BY_DEFAULT = (
    "classification",
    "likelihood",
    "reconstruction_grid",
    "generation_grid",
    "intervention_grid",
    "attribute_switching_grid",
    "swap_grid",
    "traversal_grid",
    "latent_histogram",
)
"""The default measures of a run: fast ones that need only the model and its data."""


@cache
def measure_named(text: str) -> Measure:
    """The measure given by ``NAME`` or ``NAME:FIELD=VALUE,FIELD=VALUE``, with its settings parsed.

    Raises:
        ConfigError: unknown measure or field (with a suggestion), or an invalid value.
    """
    name, _, settings = text.partition(":")
    if name not in MEASURES:
        raise ConfigError(f"there is no measure {name!r}; {_likely(name, MEASURES)}")
    kind = MEASURES[name]
    known = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, str] = {}
    for setting in filter(None, settings.split(",")):
        field, is_given, value = setting.partition("=")
        if not is_given:
            raise ConfigError(f"measure {text!r}: {setting!r} must be FIELD=VALUE")
        if field not in known:
            raise ConfigError(f"measure {name} has no setting {field!r}; {_likely(field, known)}")
        if field in values:
            raise ConfigError(f"measure {text!r} sets {field} twice")
        values[field] = value
    origin = f"measure {text!r}"
    try:
        measure = validated(kind, values, origin)
    except ConfigError as error:  # a check of the measure's own does not name it
        raise ConfigError(f"{origin}: {str(error).removeprefix(f'{origin}: ')}") from None
    for field in values:  # images, draws, steps, ...
        number = getattr(measure, field)
        if isinstance(number, int | float) and not number >= 0:
            raise ConfigError(f"measure {text!r}: {field} is {number}; it must not be negative")
    return measure


def describe() -> str:
    """All measures, a line each: name, settings with defaults, and description."""
    lines = []
    for name, kind in sorted(MEASURES.items()):
        settings = ",".join(f"{entry.name}={entry.default}" for entry in fields(kind))  # type: ignore[arg-type]
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
        lines.append(f"{name}{':' + settings if settings else ''}: {first}")
    return "\n".join(lines)


def _likely(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(known)}" if known else "it has none"
