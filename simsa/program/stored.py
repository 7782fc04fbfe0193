"""Programs in a file: what a traced function is kept as, so that a run can be repeated where the function is not."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simsa import primitives
from simsa.errors import ProgramError
from simsa.primitives import ROW, Convention
from simsa.primitives.conventions import TENSORFLOW
from simsa.primitives.operations import Case, Guard
from simsa.program.program import Node, ParameterRange, Program

CONSTANT = "constant"


def described(programs: Iterable[Program], source: str = "") -> dict[str, Any]:
    """Return programs as JSON can hold them: one function under several tie conventions.

    programs: their conventions differ. source: the text of the function that they were traced from, for readers; it is
    not run again.
    """
    return {"source": source, "programs": [_described(program) for program in programs]}


def _described(program: Program) -> dict[str, Any]:
    """Return one program as JSON can hold it."""
    return {
        "convention": {"base": program.convention.base, **program.convention.overrides},
        "parameters": program.parameters,
        "data": program.data,
        "names": list(program.names),
        "outputs": list(program.outputs),
        "ranges": [[part.kind, part.start, part.stop, part.fan_in, part.fan_out] for part in program.ranges],
        "nodes": [
            [
                node.primitive,
                list(node.operands),
                list(node.immediates),
                node.outputs,
                node.tie if isinstance(node.tie, str) else [list(weights) for weights in node.tie],
                [[[[g.left, g.relation, g.right] for g in case.guards], case.piece] for case in node.cases],
            ]
            for node in program.nodes
        ],
    }


def stored(
    file: str | Path,
    convention: str | Mapping[str, str | float] | Convention = TENSORFLOW,
    folder: str | Path = ".",
) -> Program:
    """Return the program that a file holds for a tie convention.

    file: written from `described`, relative to `folder`. convention: one of those that the file has. Raises
    ProgramError if the file cannot be read, holds no programs, or none for this convention.
    """
    path = Path(folder) / file
    wanted = primitives.convention(convention)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        programs = [_program(one) for one in kept["programs"]]
    except FileNotFoundError:
        raise ProgramError(f"{path}: no such file (program.file)") from None
    except OSError as error:
        raise ProgramError(f"{path}: cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ProgramError(f"{path}: not a program that simsa has written: {error!r}") from None
    for program in programs:
        if program.convention.label == wanted.label:
            return program
    there = ", ".join(program.convention.label for program in programs)
    raise ProgramError(f"{path}: the program is kept for the convention {there}, not for {wanted.label}")


def _program(kept: Mapping[str, Any]) -> Program:
    """Return one program of a file; raises ValueError or TypeError if it is none."""
    nodes = tuple(_node(*one) for one in kept["nodes"])
    registers = kept["parameters"] + kept["data"]
    for node in nodes:
        if any(not 0 <= operand < registers for operand in node.operands):
            raise ValueError(f"{node.primitive} reads a register that is not there yet")
        registers += node.outputs
    outputs = tuple(kept["outputs"])
    if not outputs or any(not 0 <= output < registers for output in outputs):
        raise ValueError("an output is not a register of the program")
    return Program(
        kept["parameters"],
        kept["data"],
        nodes,
        outputs,
        primitives.convention(kept["convention"]),
        tuple(ParameterRange(*one) for one in kept["ranges"]),
        tuple(kept["names"]),
    )


def _node(
    primitive: str, operands: list[int], immediates: list[float], outputs: int, tie: Any, cases: list[Any]
) -> Node:
    """Return a node of a file; raises ValueError if its primitive does not take what it is given."""
    row = None if primitive == CONSTANT else ROW.get(primitive)
    if row is None and primitive != CONSTANT:
        raise ValueError(f"unknown primitive '{primitive}'")
    if row is not None and row.arity not in (None, len(operands)):
        raise ValueError(f"{primitive} takes {row.arity} operands, got {len(operands)}")
    table = tuple(Case(tuple(Guard(*guard) for guard in guards), piece) for guards, piece in cases)
    weights = tie if isinstance(tie, str) else tuple(tuple(map(float, one)) for one in tie)
    return Node(primitive, tuple(operands), tuple(map(float, immediates)), outputs, weights, table)
