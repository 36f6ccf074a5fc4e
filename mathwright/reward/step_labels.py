"""Labels of steps by Monte-Carlo completions (Math-Shepherd, Wang et al. 2024), after which §4.1.3 labels its steps.

A step is right as far as the model can still reach the answer behind it: N completions of the response up to the step
are drawn, and the hits among them counted. So a label is a value, not a judgement of the step: a model that mends a
wrong step gives it hits.

    response      step 1 ... step 2 ... step 3 ... the answer is 7 <end>
                        |          |          └ the last step is labelled by the verdict, without completions
                        └ n / N    └ n / N    after the first step without a hit nothing is labelled

One forward pass over a response has the keys and values of all its beginnings, so no completion reads it again. Work is
done in waves: each asks for the next completions of one step of every response that is worked on, and where a response
is done another takes its place. A wave is a function of the waves before it, its completions of (seed, response, step,
n), and the counts of a finished wave are kept: labelling that was killed goes on with the next wave, to the same labels
to the bit on CPU.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from mathwright.answers.arithmetic import arithmetic_holds
from mathwright.files import append_line, whole_lines
from mathwright.judge import judge_all, sandbox_for, undecided
from mathwright.lines import json_text
from mathwright.lm.cache import Computed
from mathwright.lm.generate import Generator
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.steps import step_end_tokens
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.steps import StepRule
from mathwright.problems.templates import Prompt
from mathwright.records import StepLabels
from mathwright.reward.rankings import response_seed
from mathwright.reward.recipe import ProcessRecipe
from mathwright.run import Log
from mathwright.tools.sandbox import Sandbox

WAVES = "waves.jsonl"
FULL_BATCHES = 2
"""Batches that a wave fills at the least: in the second, the places of completions that end early are taken."""
KEPT_TOKENS = 2**14
"""Responses of so many tokens together are worked on at one time: enough for waves in which the longest completion is
a small part, and 0.7 GB of keys and values of a model such as SmolLM2-135M in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedResponse:
    """A sampled response, cut into steps."""

    place: int
    """Of its problem among those asked."""
    problem_id: str
    prompt: str
    tokens: tuple[int, ...]
    text: str
    finished: bool
    """False where it ran into a limit: then it has no final answer, and its last step is not labelled."""
    correct: bool | None
    """None where its answer could not be judged."""
    step_ends: tuple[int, ...]
    step_tokens: tuple[int, ...]
    """The token with which each step ends."""


def sample_responses(
    recipe: ProcessRecipe,
    log: Log,
    lm: LanguageModel,
    prompts: Sequence[Prompt],
    *,
    sampling: SamplingRecipe,
    generation_batch: int,
    seed: int,
) -> list[SteppedResponse]:
    """Responses to some prompts, cut into steps; what has no steps is counted in a funnel by reason."""
    total = len(prompts) * recipe.responses_per_problem
    with sandbox_for(prompts) as sandbox:
        with log.progress("sampling responses", total=total) as advance:
            completions = Generator(lm, max_batch=generation_batch).generate(
                [encode_prompt(lm.tokenizer, prompt.text) for prompt in prompts],
                sampling,
                seeds=[
                    [response_seed(seed, p, g) for g in range(recipe.responses_per_problem)]
                    for p in range(len(prompts))
                ],
                on_finished=advance,
            )
        drawn = [(place, c) for place, row in enumerate(completions) for c in row]
        verdicts = judge_all([(prompts[place], c.text) for place, c in drawn], sandbox=sandbox)
    cuts = StepRule(by=recipe.steps, max_steps=recipe.max_steps).cut([c.text for _, c in drawn])
    responses: list[SteppedResponse] = []
    dropped: Counter[str] = Counter()
    for (place, completion), verdict, cut in zip(drawn, verdicts, cuts, strict=True):
        if cut.reason:
            dropped[cut.reason] += 1
            continue
        responses.append(
            SteppedResponse(
                place=place,
                problem_id=prompts[place].problem.id,
                prompt=prompts[place].text,
                tokens=completion.tokens,
                text=completion.text,
                finished=completion.finish == "stop",
                correct=None if undecided(verdict) else verdict.correct,
                step_ends=cut.ends,
                step_tokens=tuple(step_end_tokens(lm.tokenizer, completion.tokens, cut.ends, len(completion.text))),
            )
        )
    log.funnel("responses", unit="responses", num_in=total, num_out=len(responses), dropped=dropped)
    return responses


# --- the search for the first wrong step ----------------------------------------------------------


class Request(NamedTuple):
    """Completions to draw: of which step, and which of its N."""

    step: int
    first: int
    stop: int

    def widened(self, num: int, recipe: ProcessRecipe) -> Request:
        """So many completions, where it asks for fewer and there are so many."""
        return self._replace(stop=min(max(self.stop, self.first + num), recipe.num_completions))


@dataclass(slots=True)
class Search:
    """Where the labelling of one response stands: the steps before its last are looked at one after another, or by
    halves."""

    recipe: ProcessRecipe
    num_steps: int
    """Without the last."""
    asked: list[int] = field(init=False)
    judged: list[int] = field(init=False)
    hits: list[int] = field(init=False)
    first_wrong: int | None = None
    _low: int = 0
    _high: int = field(init=False)

    def __post_init__(self) -> None:
        self.asked, self.judged, self.hits = ([0] * self.num_steps for _ in range(3))
        self._high = self.num_steps - 1

    def request(self) -> Request | None:
        """The next completions; None where the response is done with."""
        if self._low > self._high:
            return None
        step = (self._low + self._high) // 2 if self.recipe.binary_search else self._low
        first, most = self.asked[step], self.recipe.num_completions
        size = self.recipe.completions_per_wave if self.recipe.stops_early else most
        return Request(step, first, min(first + size, most))

    def note(self, request: Request, judged: int, hits: int) -> None:
        """What came of a request: of its completions so many could be judged, and so many were right."""
        step = request.step
        self.asked[step] = request.stop
        self.judged[step] += judged
        self.hits[step] += hits
        found = self.hits[step] > 0
        if self.asked[step] < self.recipe.num_completions and not (found and self.recipe.stops_early):
            return
        if self.judged[step] and not found:
            self.first_wrong, self._high = step, step - 1
        else:  # right, or nothing could be judged, which says nothing against it
            self._low = step + 1

    def note_all(self, request: Request, outcomes: Sequence[bool | None]) -> None:
        """Note the outcomes of a request that may be wider than the next one, as if it had been asked in turn.

        What was drawn beyond the completions after which a step is done with is not counted: counts do not depend on
        how many were drawn at one time.
        """
        while (next_ := self.request()) is not None and next_.step == request.step and next_.stop <= request.stop:
            drawn = outcomes[next_.first - request.first : next_.stop - request.first]
            judged = [right for right in drawn if right is not None]
            self.note(next_, len(judged), sum(judged))

    def labels(self, response: SteppedResponse) -> StepLabels:
        """The labels, once done."""
        stop = self.num_steps if self.first_wrong is None else self.first_wrong + 1
        measured = [j < stop and self.judged[j] > 0 for j in range(self.num_steps)]
        hits: list[int | None] = [self.hits[j] if measured[j] else None for j in range(self.num_steps)]
        completions: list[int | None] = [self.judged[j] if measured[j] else None for j in range(self.num_steps)]
        # a search by halves leaves out steps before one that was right: they are right too, as it assumes
        implied = [j < stop and not self.asked[j] for j in range(self.num_steps)]
        last = self.first_wrong is None and response.finished and response.correct is not None
        hits.append(int(bool(response.correct)) if last else None)  # the response is a completion of itself
        completions.append(1 if last else None)
        return StepLabels(
            problem_id=response.problem_id,
            prompt=response.prompt,
            response=response.text,
            step_ends=response.step_ends,
            labels=tuple(
                1.0 if guess else label
                for guess, label in zip(
                    [*implied, False], from_counts(hits, completions, self.recipe.labels), strict=True
                )
            ),
            hits=tuple(hits),
            completions=tuple(completions),
        )


def from_counts(
    hits: Sequence[int | None], completions: Sequence[int | None], kind: Literal["hard", "soft", "rule"]
) -> list[float | None]:
    """Labels from counts: whether there was any hit, or the share of hits."""
    return [
        None if h is None or not n else h / n if kind == "soft" else float(h > 0)
        for h, n in zip(hits, completions, strict=True)
    ]


def relabelled(record: StepLabels, kind: Literal["hard", "soft"]) -> StepLabels:
    """The same counts as labels of the other kind. Labels without counts are as good as they are.

    Raises ValueError where the counts are of another number of steps.
    """
    if not record.hits:
        return record
    kept = from_counts(record.hits, record.completions, kind)
    labels = tuple(label if h is None else new for label, h, new in zip(record.labels, record.hits, kept, strict=True))
    return StepLabels(
        problem_id=record.problem_id,
        prompt=record.prompt,
        response=record.response,
        step_ends=record.step_ends,
        labels=labels,
        hits=record.hits,
        completions=record.completions,
    )


def rule_labels(text: str, ends: Sequence[int], correct: bool | None) -> list[float | None]:
    """Whether the arithmetic on each step holds; None where there is none, so nothing is known for certain.

    The last step is right where its arithmetic holds and the answer is right; None where that could not be judged.
    """
    labels: list[float | None] = []
    start = 0
    for end in ends:
        found = [arithmetic_holds(line) for line in text[start:end].splitlines()]
        known = [holds for holds in found if holds is not None]
        labels.append(float(all(known)) if known else None)
        start = end
    labels[-1:] = [None if correct is None else float(correct and labels[-1] != 0.0)]
    return labels


# --- waves ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A response that is worked on."""

    prompt: Sequence[int]
    response: SteppedResponse
    beginnings: Sequence[Computed] = ()
    """What the model has computed at the end of each step but the last; () until it has read the response."""

    @property
    def num_tokens(self) -> int:
        return len(self.prompt) + len(self.response.tokens)

    def beginning(self, step: int) -> list[int]:
        """Prompt and response up to the end of a step."""
        return [*self.prompt, *self.response.tokens[: self.response.step_tokens[step] + 1]]

    def rest(self, step: int) -> int:
        """Tokens of the response behind a step, and about as many of a completion."""
        return len(self.response.tokens) - self.response.step_tokens[step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeller:
    """Labels the steps of responses by completions."""

    recipe: ProcessRecipe
    lm: LanguageModel
    """What completes: the model that wrote the responses, or another of the same vocabulary."""
    prompts: Sequence[Prompt]
    """What `SteppedResponse.place` counts."""
    sampling: SamplingRecipe
    generation_batch: int
    """Sequences drawn at one time; keys and values of as many responses, or of KEPT_TOKENS, are kept in memory."""
    seed: int
    sandbox: Sandbox | None
    """Where the programs of completions run; None where there are none."""

    def label(self, responses: Sequence[SteppedResponse], folder: Path, log: Log) -> list[StepLabels]:
        """The labels of each response; the waves that `folder` holds already are not drawn again."""
        kept = _kept_waves(folder / WAVES)
        searches = [Search(self.recipe, len(r.step_ends) - 1) for r in responses]
        waiting = deque(range(len(responses)))
        open_: dict[int, _Open] = {}
        with log.progress("labelling steps", total=len(responses)) as advance:
            while wave := self._wave(responses, searches, open_, waiting):
                requests = tuple((i, step, first, stop) for i, (step, first, stop) in wave)
                outcomes = kept.get(requests)
                if outcomes is None:
                    outcomes = self._draw(responses, open_, wave)
                    append_line(folder / WAVES, json_text({"requests": requests, "outcomes": outcomes}))
                for (i, request), row in zip(wave, outcomes, strict=True):
                    searches[i].note_all(request, row)
                done = [i for i in open_ if searches[i].request() is None]
                for i in done:
                    del open_[i]
                advance(len(done))
        return [search.labels(response) for search, response in zip(searches, responses, strict=True)]

    def _wave(
        self,
        responses: Sequence[SteppedResponse],
        searches: Sequence[Search],
        open_: dict[int, _Open],
        waiting: deque[int],
    ) -> list[tuple[int, Request]]:
        """The next completions of each response that is worked on, after others have taken the places of those done.

        Waves stay full to the end: where few responses are left, more completions of each are drawn than are looked at
        next, since a small batch takes hardly less time than a full one.
        """
        num_tokens = sum(o.num_tokens for o in open_.values())
        while waiting:
            response = responses[waiting[0]]
            opened = _Open(encode_prompt(self.lm.tokenizer, response.prompt), response)
            if len(open_) >= self.generation_batch and num_tokens + opened.num_tokens > KEPT_TOKENS:
                break
            i = waiting.popleft()
            if searches[i].request() is not None:
                open_[i] = opened
                num_tokens += opened.num_tokens
        wide = FULL_BATCHES * self.generation_batch // max(1, len(open_))
        wave = [
            (i, request.widened(wide, self.recipe)) for i in open_ if (request := searches[i].request()) is not None
        ]
        # what probably lasts longest is begun first, and does not run on alone
        return sorted(wave, key=lambda asked: open_[asked[0]].rest(asked[1].step), reverse=True)

    def _draw(
        self, responses: Sequence[SteppedResponse], open_: Mapping[int, _Open], wave: Sequence[tuple[int, Request]]
    ) -> list[list[bool | None]]:
        """Whether each completion of each request of a wave was right; None where that could not be judged."""
        self._read([o for o in open_.values() if not o.beginnings])
        drawn = Generator(self.lm, max_batch=self.generation_batch).generate(
            [open_[i].beginning(request.step) for i, request in wave],
            self.sampling,
            seeds=[[response_seed(self.seed, i, q.step, n) for n in range(q.first, q.stop)] for i, q in wave],
            computed=[open_[i].beginnings[request.step] for i, request in wave],
        )
        # one without a token had no room left in the context: it says nothing
        texts = [
            (index, n, self._text(responses[i], request.step, completion.tokens))
            for index, ((i, request), row) in enumerate(zip(wave, drawn, strict=True))
            for n, completion in enumerate(row)
            if completion.tokens
        ]
        verdicts = judge_all(
            [(self.prompts[responses[wave[index][0]].place], text) for index, _, text in texts], sandbox=self.sandbox
        )
        outcomes: list[list[bool | None]] = [[None] * (request.stop - request.first) for _, request in wave]
        for (index, n, _), verdict in zip(texts, verdicts, strict=True):
            if not undecided(verdict):
                outcomes[index][n] = verdict.correct
        return outcomes

    def _read(self, unread: Sequence[_Open]) -> None:
        """Compute what the model has computed at the end of each step but the last, shortest responses first."""
        unread = sorted(unread, key=lambda o: o.num_tokens)  # next to each other they are padded least
        steps = [range(len(o.response.step_tokens) - 1) for o in unread]
        found = Generator(self.lm).beginnings(
            [o.beginning(own[-1]) for o, own in zip(unread, steps, strict=True)],
            [[len(o.beginning(step)) for step in own] for o, own in zip(unread, steps, strict=True)],
        )
        for o, beginnings in zip(unread, found, strict=True):
            o.beginnings = beginnings

    def _text(self, response: SteppedResponse, step: int, completion: Sequence[int]) -> str:
        tokens = [*response.tokens[: response.step_tokens[step] + 1], *completion]
        written = tokens[:-1] if tokens[-1] in self.lm.eos_token_ids else tokens
        return self.lm.tokenizer.decode(written, skip_special_tokens=True)


Requests = tuple[tuple[int, int, int, int], ...]
"""A wave: (response, step, first, stop) of each of its requests."""


def _kept_waves(path: Path) -> Mapping[Requests, Sequence[Sequence[bool | None]]]:
    """Outcomes of each request of the finished waves.

    By what they asked: with another `generation_batch` or limit of memory waves are others, and are drawn again.
    """
    lines = [value for line in whole_lines(path) if "outcomes" in (value := json.loads(line))]
    return {tuple((i, step, first, stop) for i, step, first, stop in v["requests"]): v["outcomes"] for v in lines}
