"""Named sweeps: functions that return the runs of a sweep."""

from launch.recipes.named import FoundRecipe, find_recipe
from launch.recipes.registry import QUICK, RECIPES, Recipe

__all__ = ["QUICK", "RECIPES", "FoundRecipe", "Recipe", "find_recipe"]
