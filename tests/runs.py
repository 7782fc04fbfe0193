"""What tests of whole runs share."""

from simsa.ensemble.plan import Plan, plan
from simsa.ensemble.resolve import resolve
from simsa.scenario import Scenario, rows


def planned(scenario: Scenario) -> Plan:
    """Return the plan of a scenario."""
    return plan(resolve(scenario))


def digest(scenario: Scenario) -> str:
    """Return the digest of a scenario, with its data."""
    return scenario.digest(rows(scenario)[1])
