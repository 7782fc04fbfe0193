"""Instructions with any number of operands, with the methods that `rows.Row` has for rows of the table.

Shared arguments.
b: the builder of LLVM instructions. text: has the operands by name, which are lane vectors. i: the number of an
operand. grad: the adjoint of the output, a lane vector. weights, tied: of ties, of which these instructions have none.
"""

from simsa.kernels.rows import received


def _names(count):
    """Return the names of `count` operands, which are made of their numbers."""
    return tuple(f"operand{i}" for i in range(count))


class Select:
    """A user's selection whose guards compare data and constants only.

    count: the number of operands. table: rows (guards, piece); a guard is (operand, relation, operand), a piece is an
    operand, all by number; the last row has no guards. There are no ties.
    """

    immediates, weights = (), 0

    def __init__(self, count, table):
        self.table, self.operands = table, _names(count)

    def value(self, b, text, tied=True):
        """Return the value of the piece that the first row whose guards all hold selects."""
        value = text.names[self.operands[self.table[-1][1]]]
        for guards, piece in reversed(self.table[:-1]):
            value = b.select(self._holds(b, text, guards), text.names[self.operands[piece]], value)
        return value

    def _holds(self, b, text, guards):
        """Return the lanes in which all guards of a row hold."""
        result = text.mask(True)
        for left, relation, right in guards:
            sides = (text.names[self.operands[i]] for i in (left, right))
            result = b.and_(result, b.fcmp_ordered(relation, *sides))
        return result

    def gaps(self, b, text):
        """Return no gaps, since no guard depends on parameters."""
        return []

    def passes(self, i):
        """Tell whether operand i is a piece."""
        return any(piece == i for _, piece in self.table)

    def amount(self, b, text, weights, i, grad, tied=True):
        """Return the adjoint where operand i is selected, and -0.0 elsewhere."""
        chosen, earlier = text.mask(False), text.mask(False)
        for guards, piece in self.table:
            holds = self._holds(b, text, guards)
            if piece == i:
                chosen = b.or_(chosen, b.and_(holds, b.not_(earlier)))
            earlier = b.or_(earlier, holds)
        return b.select(chosen, grad, text.constant(-0.0))

    def product(self, b, text, i, grad):
        """Return what operand i receives."""
        return self.amount(b, text, (), i, grad)


class Sum:
    """A sum of few operands, from left to right."""

    immediates, weights = (), 0

    def __init__(self, count):
        self.operands = _names(count)

    def value(self, b, text, tied=True):
        """Return the sum."""
        return _added(b, [text.names[name] for name in self.operands])

    def gaps(self, b, text):
        """Return no gaps, since nothing is selected."""
        return []

    def passes(self, i):
        """Return True: every operand receives."""
        return True

    def amount(self, b, text, weights, i, grad, tied=True):
        """Return what operand i receives: the adjoint."""
        return grad

    def product(self, b, text, i, grad):
        """Return what operand i receives."""
        return grad


class Dot:
    """A sum of few products, from left to right: the operands are the first factors, then the second ones."""

    immediates, weights = (), 0

    def __init__(self, count):
        self.operands = _names(count)

    def value(self, b, text, tied=True):
        """Return the sum of the products."""
        values, half = [text.names[name] for name in self.operands], len(self.operands) // 2
        return _added(b, [b.fmul(x, y) for x, y in zip(values[:half], values[half:], strict=True)])

    def gaps(self, b, text):
        """Return no gaps, since nothing is selected."""
        return []

    def passes(self, i):
        """Return True: every operand receives."""
        return True

    def amount(self, b, text, weights, i, grad, tied=True):
        """Return the adjoint times the other factor, or -0.0 for nothing."""
        given = b.fadd(self.product(b, text, i, grad), text.constant(0.0))
        return b.select(received(b, grad), given, text.constant(-0.0))

    def product(self, b, text, i, grad):
        """Return the adjoint times the other factor, where zero stands for nothing."""
        half = len(self.operands) // 2
        return b.fmul(grad, text.names[self.operands[i + half if i < half else i - half]])


def _added(b, terms):
    """Return a sum from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = b.fadd(total, term)
    return total
