"""The forty attributes of a drawn face: how often each is set, and what it is correlated with.

The frequencies follow those of CelebA's own list (Liu et al. 2015), to about two percentage points, through a chain of
conditional tables: sex and age first, everything else given these. ``Attractive`` is the one attribute that is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

HAIR_COLOURS = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair")
BEARDS = ("none", "stubble", "mustache", "goatee", "goatee and mustache", "full")

_BY_SEX_AND_AGE = {
    # attribute: (woman old, woman young, man old, man young)
    "Bald": (0.0, 0.0, 0.11, 0.022),
    "Receding_Hairline": (0.05, 0.028, 0.26, 0.09),
    "Bangs": (0.15, 0.22, 0.05, 0.10),
    "Wavy_Hair": (0.38, 0.51, 0.06, 0.13),
    "Wearing_Hat": (0.02, 0.027, 0.07, 0.085),
    "Eyeglasses": (0.04, 0.015, 0.25, 0.07),
    "Chubby": (0.08, 0.006, 0.24, 0.05),
    "Bags_Under_Eyes": (0.20, 0.085, 0.42, 0.31),
    "Bushy_Eyebrows": (0.05, 0.07, 0.20, 0.26),
    "Pale_Skin": (0.04, 0.062, 0.012, 0.021),
    "Smiling": (0.60, 0.53, 0.40, 0.40),
    "Wearing_Necktie": (0.0, 0.0, 0.28, 0.114),
    "Heavy_Makeup": (0.43, 0.70, 0.0, 0.003),
    "Wearing_Earrings": (0.34, 0.31, 0.01, 0.02),
    "Wearing_Necklace": (0.20, 0.21, 0.0, 0.01),
    "Straight_Hair": (0.34, 0.36, 0.25, 0.30),
    "Attractive": (0.30, 0.74, 0.10, 0.38),
}
_HAIR_ORDER = ("Black_Hair", "Brown_Hair", None, "Gray_Hair", "Blond_Hair")
_HAIR_COLOUR = (  # the same four kinds of people; None of the names is auburn, and a third of all
    (0.09, 0.15, 0.42, 0.07, 0.27), (0.21, 0.235, 0.315, 0.0, 0.24), (0.20, 0.10, 0.44, 0.25, 0.01),
    (0.34, 0.22, 0.405, 0.005, 0.03),
)  # fmt: skip
_BEARDED = (0.0, 0.0, 0.40, 0.39)
_BEARD_STYLE = np.cumsum((0.58, 0.06, 0.11, 0.08, 0.17))
_ARCHED = {True: 0.53, False: 0.21}
"""of women with heavy make-up, and without"""


def normal_share(value: float) -> float:
    """The share of a standard normal below ``value``."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


def sample_labels(ancestry: float, chance: np.random.Generator) -> dict[str, bool]:
    """One person's attributes, except those that ``factors`` reads off the drawing (big lips, blurry and so on).

    ``ancestry`` is standard normal: where it is high, hair is more often light, and skin pale.
    """
    lots = dict(zip(_BY_SEX_AND_AGE, chance.random(len(_BY_SEX_AND_AGE)).tolist(), strict=True))
    sex, age, arched, bearded, style = chance.random(5).tolist()
    hair, pale = (normal_share(0.8 * ancestry + 0.6 * other) for other in chance.standard_normal(2).tolist())
    male = sex < 0.417
    young = age < (0.645 if male else 0.866)
    kind = 2 * male + young
    labels = {"Male": male, "Young": young}
    lots["Pale_Skin"] = 1 - pale
    labels |= {name: lot < _BY_SEX_AND_AGE[name][kind] for name, lot in lots.items()}
    labels["Arched_Eyebrows"] = arched < (0.035 if male else _ARCHED[labels["Heavy_Makeup"]])
    colour = _HAIR_ORDER[int(np.searchsorted(np.cumsum(_HAIR_COLOUR[kind][:-1]), hair, side="right"))]
    labels |= {name: name == colour for name in HAIR_COLOURS}
    beard = 1 + int(np.searchsorted(_BEARD_STYLE[:-1], style)) if bearded < _BEARDED[kind] else 0
    return consistent(labels | beard_labels(beard))


def beard_labels(beard: int) -> dict[str, bool]:
    """The attributes of one of ``BEARDS``."""
    name = BEARDS[beard]
    return {
        "No_Beard": name == "none",
        "5_o_Clock_Shadow": name == "stubble",
        "Mustache": name in ("mustache", "goatee and mustache", "full"),
        "Goatee": name in ("goatee", "goatee and mustache", "full"),
        "Sideburns": name == "full",
    }


def beard_of(labels: Mapping[str, bool]) -> int:
    """The one of ``BEARDS`` that these attributes describe; a beard with no kind is stubble."""
    if labels["No_Beard"]:
        return 0
    for beard in (5, 4, 3, 2):
        if all(labels[name] >= value for name, value in beard_labels(beard).items() if name != "No_Beard"):
            return beard
    return 1


def consistent(labels: Mapping[str, bool]) -> dict[str, bool]:
    """The same without what cannot be seen together: a hat over a bald head, bangs on a high forehead."""
    seen = dict(labels)
    if seen["Wearing_Hat"]:
        seen["Bald"] = seen["Receding_Hairline"] = False
    if seen["Bald"]:
        hidden = ("Receding_Hairline", "Wavy_Hair", *HAIR_COLOURS)
        seen |= dict.fromkeys(hidden, False)
    if seen["Bald"] or seen["Receding_Hairline"]:
        seen["Bangs"] = False
    if seen["Bald"] or seen["Wavy_Hair"]:
        seen["Straight_Hair"] = False
    return seen


def switched(labels: Mapping[str, bool], name: str, value: bool) -> dict[str, bool]:
    """The same person with one attribute set to ``value`` and attributes that exclude it removed."""
    changed = dict(labels) | {name: value}
    if value:
        if name in HAIR_COLOURS:
            changed |= {other: other == name for other in HAIR_COLOURS}
        if name in (*HAIR_COLOURS, "Wavy_Hair", "Bangs", "Receding_Hairline", "Straight_Hair"):
            changed["Bald"] = False
        if name in ("Bald", "Receding_Hairline"):
            changed["Wearing_Hat"] = False
        if name == "Bangs":
            changed["Receding_Hairline"] = False
        if name == "Straight_Hair":
            changed["Wavy_Hair"] = False
        if name == "No_Beard":
            changed |= beard_labels(0)
        if name in ("5_o_Clock_Shadow", "Mustache", "Goatee", "Sideburns"):
            changed["No_Beard"] = False
    elif name == "No_Beard":
        changed |= beard_labels(5)
    return consistent(changed)
