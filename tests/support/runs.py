"""What tests of whole runs share."""

from simsa.ensemble.plan import Engines, Plan, choose, plan
from simsa.ensemble.resolve import resolve
from simsa.scenario import Scenario, rows


def planned(scenario: Scenario) -> Plan:
    """Return the plan of a scenario."""
    return plan(resolve(scenario))


def engines(made: Plan) -> Engines:
    """Return the engines that are done first with a plan on this machine."""
    return choose(made, "auto")[0]


def digest(scenario: Scenario) -> str:
    """Return the digest of a scenario, with its data."""
    return scenario.digest(rows(scenario)[1])
