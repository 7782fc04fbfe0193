"""A scalar program and its gradient as straight-line text, for NumPy and for C++: adjoints in local variables."""

from collections.abc import Iterator

from simsa.program import Program

RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "add": ("{0} + {1}", ("{g}", "{g}")),
    "sub": ("{0} - {1}", ("{g}", "-{g}")),
    "mul": ("{0} * {1}", ("{g} * {1}", "{g} * {0}")),
    "square": ("{0} * {0}", ("2.0 * {0} * {g}",)),
    "relu": ("where({0} > zero, {0}, zero)", ("where({0} > zero, {g}, zero)",)),
    "abs": ("where({0} > zero, {0}, -{0})", ("where({0} > zero, {g}, -{g})",)),
    "maximum": ("where({0} > {1}, {0}, {1})", ("where({0} > {1}, {g}, zero)", "where({0} > {1}, zero, {g})")),
    "minimum": ("where({0} < {1}, {0}, {1})", ("where({0} < {1}, {g}, zero)", "where({0} < {1}, zero, {g})")),
}
"""Value and adjoints of each primitive."""


def straight(program: Program) -> Iterator[tuple[str, str]]:
    """Yield (name, expression): the registers r0, r1, ... behind the parameters, then the gradient d0, d1, ..."""
    values = [f"r{n}" for n in range(program.parameters)]
    for node in program.nodes:
        if node.primitive == "constant":
            values.append(repr(node.immediates[0]))
            continue
        values.append(f"r{len(values)}")
        yield values[-1], RULES[node.primitive][0].format(*(values[r] for r in node.operands))
    terms: dict[int, list[str]] = {program.outputs[0]: ["one"]}
    for at, node in reversed([*enumerate(program.nodes, program.parameters)]):
        if node.primitive == "constant" or at not in terms:
            continue
        yield f"g{at}", " + ".join(terms[at])
        for place, (operand, rule) in enumerate(zip(node.operands, RULES[node.primitive][1], strict=True)):
            if values[operand].startswith("r"):
                name = f"g{at}_{place}"
                yield name, rule.format(*(values[r] for r in node.operands), g=f"g{at}")
                terms.setdefault(operand, []).append(name)
    for parameter in range(program.parameters):
        yield f"d{parameter}", " + ".join(terms.get(parameter, ["zero"]))
