"""Conversations of several turns: each is one sequence, in which every turn of the assistant is trained.

    user  ASSISTANT  user  ASSISTANT          one sequence, and not also: user ASSISTANT
          ^^^^^^^^^        ^^^^^^^^^

A turn is asked by all turns before it, so examples of one turn each would repeat the beginning of a conversation as
often as it has turns. They are joined where the tokens of one are the beginning of another's, and only there: each
trained token then has the same tokens before it as in an example of its own, and the loss is the same. A template that
writes earlier turns in other words (Qwen3 leaves out what was thought) keeps its turns apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mathwright.lm.pack import Example
from mathwright.records import Problem, Solution

Said = tuple[tuple[str, str], ...]
"""Turns as (role, content)."""


def by_conversation(solutions: Sequence[Solution], problems: Mapping[str, Problem]) -> list[list[Solution]]:
    """Solutions that are turns of one conversation together, the last turn first; every other one by itself.

    A turn belongs to a conversation that begins with what was said up to its end. Where several do, each takes one of
    the solutions that say so. The order is that of the first solution of each conversation.
    """
    said = [_said(solution, problems.get(solution.problem_id)) for solution in solutions]
    waiting: dict[Said, list[int]] = defaultdict(list)
    for index in reversed(range(len(solutions))):
        if said[index]:
            waiting[said[index]].append(index)  # the first one is taken first
    taken: set[int] = set()
    groups: list[list[int]] = []
    for index in sorted(range(len(solutions)), key=lambda i: -len(said[i])):
        if index in taken:
            continue
        taken.add(index)
        group = [index]
        for length in range(len(said[index]) - 1, 0, -1):
            same = waiting.get(said[index][:length], [])
            while same and same[-1] in taken:
                same.pop()
            if same:
                taken.add(same[-1])
                group.append(same.pop())
        groups.append(group)
    return [[solutions[i] for i in group] for group in sorted(groups, key=min)]


def _said(solution: Solution, problem: Problem | None) -> Said:
    """All turns of a conversation up to the end of this one; () for a question of ours, which no other goes on from."""
    if problem is None or not problem.messages:
        return ()
    response = "".join(part.text for part in solution.parts)
    return (*((message.role, message.content) for message in problem.messages), ("assistant", response))


def join_turns(turns: Sequence[Example]) -> list[Example]:
    """Examples of the turns of one conversation as few sequences: one where each goes on from the one before."""
    joined: list[Example] = []
    for turn in sorted(turns, key=lambda turn: -len(turn.tokens)):
        for place, longer in enumerate(joined):
            if tuple(longer.tokens[: len(turn.tokens)]) == tuple(turn.tokens):
                rest = longer.trained[len(turn.trained) :]
                both = (a or b for a, b in zip(turn.trained, longer.trained, strict=False))
                joined[place] = Example(tokens=longer.tokens, trained=(*both, *rest))
                break
        else:
            joined.append(turn)
    return joined
