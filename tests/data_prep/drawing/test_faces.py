"""Faces: labels as frequent and as correlated as CelebA's, each changing its own region and hardly anything else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data_prep.celeba_names import CCVAE_LABELS
from data_prep.drawing.faces.labels import (
    HAIR_COLOURS,
    consistent,
    sample_labels,
    switched,
)
from data_prep.drawing.faces.picture import Portrait, draw, paint, person, photograph, portrait
from data_prep.drawing.faces.regions import regions, touched

CELEBA = {  # share of each label in list_attr_celeba.txt
    "Arched_Eyebrows": 0.267, "Bags_Under_Eyes": 0.205, "Bangs": 0.152, "Black_Hair": 0.239, "Blond_Hair": 0.148,
    "Brown_Hair": 0.205, "Bushy_Eyebrows": 0.142, "Chubby": 0.058, "Eyeglasses": 0.065, "Heavy_Makeup": 0.387,
    "Male": 0.417, "No_Beard": 0.835, "Pale_Skin": 0.043, "Receding_Hairline": 0.080, "Smiling": 0.482,
    "Wavy_Hair": 0.320, "Wearing_Necktie": 0.073, "Young": 0.774,
}  # fmt: skip
PEOPLE = tuple(i for i in range(12) if not person(1, i)[0]["Wearing_Hat"])[:2]


@cache
def many() -> dict[str, NDArray[np.bool_]]:
    chance = np.random.default_rng(7)
    people = [sample_labels(float(chance.standard_normal()), chance) for _ in range(4000)]
    assert [consistent(each) for each in people] == people
    return {name: np.array([each[name] for each in people]) for name in people[0]}


def off_and_on(index: int, label: str) -> tuple[Portrait, Portrait]:
    labels, _ = person(1, index)
    return portrait(1, index, switched(labels, label, False)), portrait(
        1, index, switched(labels, label, True)
    )


def seen(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """As a model sees it."""
    return np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)).astype(np.int64)


@pytest.mark.parametrize("label", CCVAE_LABELS)
def test_labels_are_about_as_frequent_as_in_celeba(label: str) -> None:
    assert many()[label].mean() == pytest.approx(CELEBA[label], abs=0.035)


def test_labels_are_correlated_as_in_celeba() -> None:
    shown = many()
    male, young, old = shown["Male"], shown["Young"], ~shown["Young"]
    assert male[shown["Mustache"]].all()
    assert male[shown["Wearing_Necktie"]].all()
    assert not male[shown["Heavy_Makeup"]].mean() > 0.02
    assert young[shown["Heavy_Makeup"]].mean() > young.mean() + 0.05
    assert shown["Eyeglasses"][old & male].mean() > 2 * shown["Eyeglasses"][young].mean()
    assert shown["Arched_Eyebrows"][~male].mean() > 5 * shown["Arched_Eyebrows"][male].mean()
    assert shown["Gray_Hair"][old].mean() > 0.1
    assert not shown["Gray_Hair"][young & ~male].any()
    assert shown["Wavy_Hair"][~male].mean() > 2.5 * shown["Wavy_Hair"][male].mean()


def test_labels_that_exclude_each_other_never_occur_together() -> None:
    shown = many()
    assert np.sum([shown[name] for name in HAIR_COLOURS], axis=0).max() == 1
    assert not (shown["Bald"] & shown["Bangs"]).any()
    assert not (shown["Wavy_Hair"] & shown["Straight_Hair"]).any()
    assert not (shown["No_Beard"] & (shown["Goatee"] | shown["Mustache"] | shown["5_o_Clock_Shadow"])).any()


@pytest.mark.parametrize("label", CCVAE_LABELS)
def test_a_label_is_what_it_was_switched_to(label: str) -> None:
    for index in range(8):
        labels, _ = person(2, index)
        for value in (False, True):
            assert switched(labels, label, value)[label] is value


@pytest.mark.parametrize("label", CCVAE_LABELS)
def test_a_label_changes_its_region_and_nothing_else(label: str) -> None:
    for index in PEOPLE:
        off, on = off_and_on(index, label)
        without, with_it = paint(off), paint(on)
        change = np.abs(without - with_it).max(axis=2)
        inside = np.zeros(change.shape, dtype=np.bool_)
        for face in (off.face, on.face):
            left, upper, right, lower = regions(face)[label]
            inside[upper:lower, left:right] = True
        assert (change[~inside] > 4).sum() <= 10
        assert (change[inside] > 12).mean() > 0.015
        small = seen(photograph(without, off)) - seen(photograph(with_it, on))
        assert (np.abs(small).max(axis=2) > 15).sum() >= 8, "at the size that a model sees"


def test_the_exact_pixels_that_a_label_changes_are_available() -> None:
    off, on = off_and_on(PEOPLE[0], "Smiling")
    change = np.abs(paint(off) - paint(on)).max(axis=2) > 4
    np.testing.assert_array_equal(touched(1, PEOPLE[0], "Smiling"), change)


def test_labels_look_different_from_person_to_person() -> None:
    """How wide a smile, which glasses: the factors of a label vary among those that have it."""
    woman = switched(switched(person(5, 0)[0], "Smiling", True), "Eyeglasses", True) | {"Male": False}
    women = [person(5, index, woman)[1] for index in range(60)]
    assert np.ptp([face.smile for face in women]) > 0.4
    assert {face.glasses for face in women} == {1, 2, 3, 4, 5}
    assert len({face.hair_length for face in women}) >= 4
    for label, factor in (("Bangs", "bangs"), ("Bushy_Eyebrows", "brow_thickness"), ("Wavy_Hair", "wave")):
        shown = [getattr(person(5, index, woman | {label: True})[1], factor) for index in range(20)]
        assert np.ptp(shown) > 0.25


def test_a_portrait_is_the_same_each_time_and_the_camera_leaves_the_scene_alone() -> None:
    first, second = portrait(9, 4), portrait(9, 4)
    assert first.labels == second.labels
    assert first.face == second.face
    scene = paint(first)
    before = scene.copy()
    np.testing.assert_array_equal(photograph(scene, first), draw(second))
    np.testing.assert_array_equal(scene, before)


def test_extreme_factors_are_drawn() -> None:
    """Any sample stays inside the picture's arrays, and is a valid picture."""
    for index in range(12):
        pixels = draw(portrait(11, index))
        assert pixels.shape == (218, 178, 3)
        assert pixels.std() > 15
