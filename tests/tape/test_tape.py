"""Assembly keeps the program's bits; check refuses every ill-formed tape with the instruction in the message."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from simsa.errors import ProgramError, TapeError
from simsa.primitives import OPCODE, ROWS
from simsa.program.program import Builder
from simsa.tape import Tape, assemble, check
from simsa.tape.tape import BRANCH, COUNT, FIRST, FLAGS, NUMBER, OP, OUT, OUTS, ROUNDINGS


def sound() -> Tape:
    """Return a tape with one of everything that can go wrong: 0 relu, 1 select, 2 max, 3 dense, 4 sum."""
    builder = Builder(4, 2)
    zero = builder.constant(0.0)
    relu = builder.apply("relu", [0])
    chosen = builder.select([([(relu, ">", zero)], relu)], zero)
    largest = builder.apply("max", [chosen, relu])
    dense = builder.apply("dense", [1, 2, 4, 5, 3], outputs=1)
    return assemble(builder.finish([builder.apply("sum", [largest, dense])]))


def altered(name: str, *changes: tuple[tuple[int, ...] | int, float]) -> Tape:
    """Return the sound tape with entries of one array changed."""
    tape = sound()
    array = getattr(tape, name).copy()
    for at, value in changes:
        array[at] = value
    return dataclasses.replace(tape, **{name: array})


CORRUPTIONS: dict[str, tuple[Callable[[], Tape], str]] = {
    "opcode": (lambda: altered("code", ((0, OP), 999)), "instruction 0: opcode 999 is unknown"),
    "operand range": (lambda: altered("operands", (0, 99)), r"instruction 0 \(relu\): operand r99 out of range"),
    "read before write": (lambda: altered("operands", (0, 8)), r"instruction 0 \(relu\): reads r8 before it is"),
    "written twice": (lambda: altered("code", ((1, OUT), 7)), r"instruction 1 \(select\): writes r7 twice"),
    "output range": (lambda: altered("code", ((0, OUT), 99)), r"instruction 0 \(relu\): output out of range"),
    "arity": (lambda: altered("code", ((0, COUNT), 2)), r"instruction 0 \(relu\): 2 operands, expected 1"),
    "operands range": (lambda: altered("code", ((4, FIRST), 99)), r"instruction 4 \(sum\): operands out of range"),
    "outputs": (lambda: altered("code", ((4, OUTS), 2)), r"instruction 4 \(sum\)"),
    "numbers range": (lambda: altered("code", ((0, NUMBER), 99)), r"instruction 0 \(relu\): numbers out of range"),
    "weights": (lambda: altered("numbers", (0, 0.25)), r"instruction 0 \(relu\): tie weights sum to 0.25, not to 1"),
    "not finite": (lambda: altered("numbers", (0, np.nan)), r"instruction 0 \(relu\): a number is not finite"),
    "rule": (lambda: altered("numbers", (2, 7.0)), r"instruction 2 \(max\): unknown tie rule 7.0"),
    "branch range": (lambda: altered("code", ((1, BRANCH), 9)), r"instruction 1 \(select\): the branch table does not"),
    "piece": (lambda: altered("rows", ((0, 2), 9)), r"instruction 1 \(select\): piece 9 is not an operand"),
    "relation": (lambda: altered("guards", ((0, 1), 9)), r"instruction 1 \(select\): a guard is out of range"),
    "guards range": (lambda: altered("rows", ((0, 1), 9)), r"instruction 1 \(select\): guards out of range"),
    "returned": (lambda: altered("outputs", (0, 99)), "output r99 is never written"),
    "returned input": (lambda: altered("outputs", (0, 0)), "output r0 is an input; copy it"),
    "mode": (lambda: altered("modes", (0, 5)), r"instruction 0 \(relu\): unknown mode 5"),
    "adjoint order": (lambda: altered("modes", (4, 2)), r"adds to the adjoint of r\d+ before it is assigned"),
    "flags": (lambda: altered("code", ((0, FLAGS), 64)), r"instruction 0 \(relu\): unknown flags 64"),
    "read twice": (lambda: altered("operands", (7, 2)), "a parameter is read twice; copy it first|must be consecutive"),
    "constant": (lambda: altered("constant_registers", (0, 0)), "constant register r0 is taken or out of range"),
    "type": (lambda: dataclasses.replace(sound(), numbers=np.zeros(9, "f4")), "numbers has the wrong type or shape"),
    "dense line": (lambda: altered("operands", (5, 2), (6, 1)), r"instruction 3 \(dense\): weights, inputs and biases"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_tapes_are_refused(name: str) -> None:
    make, message = CORRUPTIONS[name]
    tape = make()
    with pytest.raises(TapeError, match=message):
        check(tape)


def test_a_sound_tape_passes() -> None:
    check(sound())


def test_nodes_that_no_output_needs_are_left_out() -> None:
    builder = Builder(1)
    builder.apply("exp", [0])
    tape = assemble(builder.finish([builder.apply("relu", [0])]))
    assert [line[OP] for line in tape.code] == [OPCODE["relu"]]


def test_a_parameter_read_twice_is_copied_once() -> None:
    builder = Builder(1)
    tape = assemble(builder.finish([builder.apply("mul", [0, 0])]))
    assert [line[OP] for line in tape.code] == [OPCODE["copy"], OPCODE["mul"]]


def test_guards_of_the_same_two_operands_are_one_pair_and_draws_follow_the_pieces() -> None:
    builder = Builder(2)
    zero = builder.constant(0.0)
    chosen = builder.select([([(0, "<", zero)], 0), ([(zero, "<", 0), (1, ">", 0)], 1)], zero)
    tape = assemble(builder.finish([builder.apply("max", [chosen, *[1] * 4]), builder.apply("relu", [chosen])]))
    assert tape.pairs[:, 0].tolist() == [0, 0, 1] and tape.pairs[0, 1] == -tape.pairs[1, 1]
    weights = {ROWS[line[OP]].name: tape.mixture_weights(k) for k, line in enumerate(tape.code)}
    assert weights == {"copy": 0, "select": 3, "max": 5, "relu": 2}
    assert np.diff(tape.draws).tolist() == [(tape.mixture_weights(k) + 3) // 4 for k in range(len(tape.code))]


def test_roundings_are_counted_along_the_longest_way_back() -> None:
    builder = Builder(1)
    few, many = builder.apply("square", [0]), builder.apply("square", [0])
    for _ in range(9):
        many = builder.apply("square", [many])
    one, two = (assemble(builder.finish([out])).roundings for out in (few, many))
    assert one == 1 + ROUNDINGS + 1 and two == 10 * (1 + ROUNDINGS) + 10


def test_a_guard_between_data_is_no_tie() -> None:
    """The label pick of a network's loss: label == j, which no parameter can move."""
    builder = Builder(2, 1)
    one = builder.constant(1.0)
    picked = builder.select([([(2, "==", one)], 0), ([(0, ">", 1)], 1)], one)
    tape = assemble(builder.finish([picked]))
    assert tape.guards[:, 3].tolist() == [0, 1]
    program = builder.finish([picked])
    assert program.branches([3.0, 2.0], [1.0]).tied == (False,)
    assert program.branches([3.0, 3.0], [1.0]).tied == (True,)


def test_the_builder_refuses_what_is_not_there() -> None:
    builder = Builder(2)
    with pytest.raises(ProgramError, match="unknown primitive 'rleu'; expected one of add, sub"):
        builder.apply("rleu", [0])
    with pytest.raises(ProgramError, match="relu takes 1 operands, got 2"):
        builder.apply("relu", [0, 1])
    with pytest.raises(ProgramError, match="an operand is not a register of this program"):
        builder.apply("relu", [7])
    with pytest.raises(ProgramError, match=r"huber takes the numbers \(a\), got 0"):
        builder.apply("huber", [0])
