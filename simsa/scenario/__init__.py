"""Scenarios: an experiment as a TOML file states it, with its data, step sizes and initial law."""

from simsa.scenario.initial import Ingredients
from simsa.scenario.load import load
from simsa.scenario.model import Hypothesis
from simsa.scenario.schema import Scenario, hypotheses, json_schema, remarks, rows, warnings

__all__ = ["Hypothesis", "Ingredients", "Scenario", "hypotheses", "json_schema", "load", "remarks", "rows", "warnings"]
