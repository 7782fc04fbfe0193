"""Laws of the minibatch I_k (paper, Section 5.2). A law is one class here, named in `Batch`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simsa.scenario.model import Count, Model

_PAPER = "I_k iid uniform over the nonempty subsets"


def _outside(why: str) -> tuple[str, bool, str]:
    """Return that a law is not the paper's, and what holds all the same."""
    return _PAPER, False, f"outside the theorem: the paper's law is uniform over subsets. {why}"


class UniformSubset(Model):
    """I_k is uniform over the 2^n - 1 nonempty subsets, independently for each k: the paper's law."""

    law: Literal["uniform_subset"] = "uniform_subset"
    size: ClassVar[int] = 0
    replace: ClassVar[bool] = False

    @property
    def hypothesis(self) -> tuple[str, bool, str]:
        """Return the theorems' hypothesis on I_k, whether this law meets it, and why."""
        return _PAPER, True, "this is the paper's law"


class Full(Model):
    """I_k = {1, ..., n}: the selection gradient of J itself."""

    law: Literal["full"]
    size: ClassVar[int] = 0
    replace: ClassVar[bool] = False

    @property
    def hypothesis(self) -> tuple[str, bool, str]:
        """Return the theorems' hypothesis on I_k, whether this law meets it, and why."""
        return _outside(
            "The full batch is one subset taken for ever: the proof that almost no x_0 lands covers every "
            "sequence of subsets, and without noise the limits are critical for J"
        )


class FixedSize(Model):
    """I_k is `size` samples drawn uniformly, independently for each k."""

    law: Literal["fixed_size"]
    size: Count
    """Samples in each minibatch."""
    replace: bool = False
    """Whether a sample may be drawn twice in one minibatch."""

    @property
    def hypothesis(self) -> tuple[str, bool, str]:
        """Return the theorems' hypothesis on I_k, whether this law meets it, and why."""
        functions = "means over multisets of samples" if self.replace else "f_I"
        return _outside(
            "A fixed size is another law, iid as well and with the selection gradient of J as its mean; it "
            f"draws from finitely many {functions}, and the proofs use no more than that"
        )


class Reshuffled(Model):
    """Each epoch visits every sample once, in a fresh order; its last minibatch may be short."""

    law: Literal["reshuffled"]
    size: Count
    """Samples in each minibatch."""
    replace: ClassVar[bool] = False

    @property
    def hypothesis(self) -> tuple[str, bool, str]:
        """Return the theorems' hypothesis on I_k, whether this law meets it, and why."""
        return _outside(
            "Reshuffled minibatches are not independent within an epoch: the proof that almost no x_0 lands "
            "covers every sequence of subsets, the proof on limits does not cover this law"
        )


Batch = Annotated[UniformSubset | Full | FixedSize | Reshuffled, Field(discriminator="law")]
"""The laws; a new one is a class above and its name here (and its draw in the kernels)."""
