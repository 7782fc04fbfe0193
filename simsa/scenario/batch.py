"""Laws of the minibatch I_k (paper, Section 5.2). To add a law, add a class here and its name to `Batch`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simsa.scenario.model import Count, Model
from simsa.vocabulary import Met

State = tuple[Met, str]
"""How the hypothesis "I_k iid uniform over the nonempty subsets" is met, and the reason in a sentence."""

ONE_SAMPLE: State = Met.AS_STATED, "there is one sample, so every law is the paper's"
WHOLE: State = (
    Met.COVERED,
    "every minibatch is the whole of the data, which is one of the f_I, and its selection gradient is that of J: the "
    "recursion is the proof's without noise",
)
"""The state with one sample, and the state where every minibatch holds all samples."""


class UniformSubset(Model):
    """I_k is uniform over the 2^n - 1 nonempty subsets, independently for each k: the paper's law."""

    law: Literal["uniform_subset"] = "uniform_subset"
    size: ClassVar[int] = 0
    replace: ClassVar[bool] = False

    def state(self, n: int) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        return Met.AS_STATED, "this is the paper's law"


class Full(Model):
    """I_k = {1, ..., n}: the selection gradient of J itself."""

    law: Literal["full"]
    size: ClassVar[int] = 0
    replace: ClassVar[bool] = False

    def state(self, n: int) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        return ONE_SAMPLE if n == 1 else WHOLE


class FixedSize(Model):
    """I_k is `size` samples drawn uniformly, independently for each k."""

    law: Literal["fixed_size"]
    size: Count
    """Samples in each minibatch."""
    replace: bool = False
    """Whether a sample may be drawn twice in one minibatch."""

    def state(self, n: int) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        if n == 1:
            return ONE_SAMPLE
        if self.size == n and not self.replace:
            return WHOLE
        functions = "means over multisets of samples" if self.replace else "f_I"
        return Met.COVERED, (
            f"minibatches of a fixed size are iid, draw from finitely many {functions}, and have the selection "
            "gradient of J as their mean; the proofs use no more of the law"
        )


class Reshuffled(Model):
    """Each epoch visits every sample once, in a fresh order; its last minibatch may be short."""

    law: Literal["reshuffled"]
    size: Count
    """Samples in each minibatch."""
    replace: ClassVar[bool] = False

    def state(self, n: int) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        if n == 1:
            return ONE_SAMPLE
        if self.size == n:
            return WHOLE
        return Met.NOT_MET, (
            "reshuffled minibatches are not independent within an epoch, so their mean given the past is not that of "
            "J, which the proof on limits needs; that almost no x_0 lands is proved for every sequence of subsets"
        )


Batch = Annotated[UniformSubset | Full | FixedSize | Reshuffled, Field(discriminator="law")]
"""The laws. A new one also needs its draw in `simsa/machine/draws.py` and in the kernels."""
