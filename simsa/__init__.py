"""simsa: stochastic approximation with automatic differentiation, simulated and measured."""

from simsa.errors import SimsaError
from simsa.machine.evaluator import Machine
from simsa.primitives import Convention
from simsa.program import Builder, Program, expression, network, trace
from simsa.program.functions import (
    apply,
    clip,
    conv2d,
    dense,
    elu,
    erf,
    hardtanh,
    hinge,
    huber,
    leaky_relu,
    logsumexp,
    max_pool1d,
    max_pool2d,
    maximum,
    median,
    minimum,
    piecewise,
    relu,
    relu6,
    sigmoid,
    softplus,
    top_k,
    where,
    zero,
)

Program.evaluator = Machine()

__version__ = "0.1.0"

__all__ = [
    "Builder",
    "Convention",
    "Program",
    "SimsaError",
    "apply",
    "clip",
    "conv2d",
    "dense",
    "elu",
    "erf",
    "expression",
    "hardtanh",
    "hinge",
    "huber",
    "leaky_relu",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "median",
    "minimum",
    "network",
    "piecewise",
    "relu",
    "relu6",
    "sigmoid",
    "softplus",
    "top_k",
    "trace",
    "where",
    "zero",
]
