"""What may be done with pictures of a source, and with models that learned from them, as far as this project knows."""

from __future__ import annotations

OPEN = frozenset(
    {
        "drawn_faces",
        "drawn_radiographs",
        "fashion_mnist",
        "fashion_mnist_held_out",
        "mnist",
        "rotated_mnist",
        "swiss_roll",
        "transformed_mnist",
    }
)
"""Sources whose pictures anyone may pass on; for all others the licence has to be read first."""

_FACES = (
    "to recognise a person, or infer anything about one (age, sex, origin, health, feelings) that is then acted on: the"
    " labels are what somebody said of a photograph"
)
_RADIOGRAPHS = (
    "for diagnosis, triage or treatment, nor to make or change pictures of a patient's record: it is no medical device;"
    " a changed label is not how a disease would look in this patient"
)
_PEOPLE = {
    "affectnet": _FACES,
    "celeba": _FACES,
    "chexpert": _RADIOGRAPHS,
    "drawn_faces": _FACES,
    "drawn_radiographs": _RADIOGRAPHS,
    "pictures": _FACES + "; and, of pictures from medicine, " + _RADIOGRAPHS,
    "tfd": _FACES,
}
"""By the beginning of a source's name."""


def not_for(source: str) -> list[str]:
    """What a model trained on a source must not be used for, one phrase each."""
    return [
        *(use for name, use in _PEOPLE.items() if source.startswith(name)),
        "to pass off pictures that it makes as photographs of what is real",
        "as evidence of causes: an intervention changes what this model learned to go with a label in this data set,"
        " including its mistakes and its bias",
    ]
