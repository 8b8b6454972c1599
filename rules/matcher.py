"""The pure matcher: forward chaining in plain Python. It says what is right; every other engine is held against it."""

from __future__ import annotations

from domain.inference import Program, concluded


class Matcher:
    """`domain.ports.Inference` without a library: one pass, since a production comes after all those that it names."""

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return the productions that are concluded from `facts`, in the order of the program.

        >>> from domain.inference import Clause, Production
        >>> a = Production(id="a", clauses=(Clause(holds=("rule:x",)),))
        >>> b = Production(id="b", clauses=(Clause(holds=("inference:a",), lacks=("rule:y",)),))
        >>> Matcher().infer(Program(productions=(a, b)), frozenset({"rule:x"}))
        ('a', 'b')
        >>> Matcher().infer(Program(productions=(a, b)), frozenset({"rule:x", "rule:y"}))
        ('a',)
        """
        known = set(facts)
        found = []
        for production in program.productions:
            if any(known.issuperset(clause.holds) and known.isdisjoint(clause.lacks) for clause in production.clauses):
                found.append(production.id)
                known.add(concluded(production.id))
        return tuple(found)
