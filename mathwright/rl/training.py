"""Reinforcement: Algorithm 1 of the paper, one iteration of it. Line by line, and where each is computed:

    1   pi_theta <- the SFT model                                Models.load                          models.py
    3   pi_ref <- pi_theta                                       Models.load
    4   for step = 1 .. M:                                       _Training.complete                   here
    5       draw a batch D_b of questions                        Explorer.explore                     explore.py
    6       pi_old <- pi_theta                                   Models.exploring_generator: the same weights
    7       draw G responses o_i ~ pi_old to each question       Explorer.explore
    8       reward them                                          judge_groups                         rollout.py
                by rule, by model, by a function                 Reward.score                         rewards.py
                step by step                                     StepScorer.score                     step_scorers.py
    9       advantages A_{i,t}                                   Method.training_groups, .weights     methods/
                                                                 outcome_advantages, ...              advantages.py
    10      mu times:                                            Learner.learn                        learn.py
    11          update pi_theta to raise Eq. 3                   Method.loss                          methods/
                                                                 grpo_loss, ...                       losses.py

Lines 2 and 12, further iterations with a new pi_ref and a reward model trained further, are in `chain/iterate.py`: this
is one iteration. The other methods of Table 10 (`methods.table`) differ in who draws the responses of line 7, in 9 and
in 11.

Everything random is a pure function of (seed, step) and of the position in the order of the problems, and explored
waves are kept (`rl.buffer`): a run killed at any moment resumes from its last checkpoint without exploring anything
twice, with the same result to the bit on CPU.

pi(o_t) is the distribution the tokens are drawn from, so logits are divided by the sampling temperature in training
too, for the policy and for the reference (the paper does not say). top_p and top_k are not modelled, as nowhere else.
Weights are trained without dropout: with it pi_theta would not be the policy that drew the responses.

Measurements of kind "train", one a step:

    reward_mean, reward_std     over the scored responses
    accuracy                    share of correct final answers
    kl                          k3 to the reference, nats a token (mean over tokens, then responses)
    entropy                     mean of -log pi over the drawn tokens: an estimate of the entropy, nats a token
    response_tokens, truncated  mean length; share that ran into a limit
    tool_calls                  programs run, mean over responses
    equal_reward_groups         share of groups in which there is nothing to prefer
    resampled_groups            further groups explored instead of such ones (dynamic sampling)
    unscored                    share of responses without a reward (under grpo_process: without a scored step)
    step_reward_mean            over all scored steps, under grpo_process
    steps_per_response, tokens_per_step
                                under grpo_process; a warning where they leave their first values by 30%
    logprob_gap, _max           |log-probability in the generator - in training|, mean and maximum over tokens
    ratio, clip_fraction        pi / pi_old, and the share of tokens clipped; of the last update
    gradient_coefficient        mean |GC| of Eq. 5
    explained_variance          1 - Var(R - V) / Var(R), returns R by values V, over the trained tokens, before the
                                updates of the step (of a method with a value model); none where all R are equal
    value_loss                  1/2 (V - R)^2 before the updates, mean over tokens, then responses
    explained_variance_after, value_loss_after      the same after them
    value_gated                 1 where the mean reward of the group was the baseline instead (rl.value_gate)
    value_grad_norm, value_lr   of the last update of the value model
    return_mean, advantage_std  of returns, and of advantages before they are whitened, over the trained tokens
    kl_coef                     beta of Eq. 2 at this step
    kl_response                 sum of log pi_old - log pi_ref over a response, mean over responses (rl.kl_target)
    loss, grad_norm, lr         of the last update
    num_trained                 responses trained on
    seconds_generate, seconds_reward, seconds_train, generated_tokens_per_s, trained_tokens_per_s

of kind "eval", before the first step, every `evaluate_every` steps and at the end: accuracy of greedy answers to
held-out problems, response_tokens and truncated of them; of kind "unscored": reason, count; of kind "warning": message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mathwright.engines.respond import EncodedPrompt, respond
from mathwright.errors import MathwrightError
from mathwright.judge import sandbox_for
from mathwright.lm import checkpoint, lora, parallel
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.optimise import Optimiser
from mathwright.lm.save import save
from mathwright.problems.own_template import keep_template
from mathwright.records import JudgedGroup, Problem, Solution
from mathwright.rl import methods, step_scorers
from mathwright.rl.buffer import RolloutBuffer, RolloutFile
from mathwright.rl.check import check, check_sources
from mathwright.rl.explore import Exploration, Explorer, Values
from mathwright.rl.guards import Gaming, Guards, Idleness
from mathwright.rl.iteration import ONLY, Iteration, Samples
from mathwright.rl.learn import Learner
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.models import Models, Trained
from mathwright.rl.prepare import Judge, learn_values, prompts_of, require_heldout, source_of
from mathwright.rl.pretrain_values import PART
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rewards import judged
from mathwright.rl.rollout import some_of
from mathwright.rl.solutions import Given
from mathwright.rl.summary import summary_of
from mathwright.run import Stage
from mathwright.tools.sandbox import Sandbox

BUFFER = "buffer"


def run(
    recipe: RLRecipe,
    stage: Stage,
    *,
    model: str | Path,
    reward_model: str | Path | None,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    solutions: Sequence[Solution] = (),
    heldout: Sequence[Problem] = (),
    device: str = "cpu",
    value_model: str | Path | None = None,
    value_samples: Sequence[JudgedGroup] = (),
    iteration: Iteration = ONLY,
    process_model: str | Path | None = None,
) -> None:
    """Train `model` by reinforcement; outputs model and rollouts, value_model of a method that has one, and adapter.

    Args:
        recipe: method, reward and sizes.
        stage: where to write.
        model: the SFT model; also the reference pi_ref where the recipe names no other, kept frozen in `dtype`.
        reward_model: folder of the reward stage; needed where recipe.reward is model, and what a value model begins as.
        problems: questions with reference answers.
        template: prompt template, that of SFT.
        dtype: type of the weights.
        seed: of the order of the questions and of the responses.
        solutions: worked solutions of the problems; what method sft trains on.
        heldout: problems whose accuracy is measured on the way, if the recipe says so.
        device: where the models live.
        value_model: folder of an earlier value model to go on from.
        value_samples: judged samples of `model` that the value model learns from before the first step.
        iteration: where this training stands in Algorithm 1.
        process_model: folder of the process reward model; needed where recipe.step_reward is model.

    Raises MathwrightError, before the first step, for a recipe, a reference or problems that cannot be trained on or
    with; and where loss or gradient is not finite, the guilty micro-batch saved.
    """
    check(recipe)
    check_sources(recipe)
    require_heldout(recipe, heldout)
    method = methods.from_recipe(recipe)
    models = Models.load(
        recipe,
        method,
        model,
        template=template,
        dtype=dtype,
        device=device,
        seed=seed,
        reward_model=reward_model,
        value_model=value_model,
        initial=iteration.initial,
    )
    judge = Judge.load(recipe, reward_model, dtype=dtype, device=device)
    steps = None
    if TABLE_10[recipe.method].reward == "steps":
        steps = step_scorers.from_recipe(recipe, process_model, dtype=dtype, device=device)
    ask = partial(prompts_of, recipe, stage, models.policy, template)
    prompts = ask(some_of(problems, recipe.num_problems, seed), "prompts", len(problems))
    models.max_length = max(len(p.tokens) for p in prompts) + recipe.sampling.max_new_tokens
    buffer = RolloutBuffer(stage.path / BUFFER, writes=stage.writes)
    source = source_of(
        recipe, stage, models.policy, prompts, judge=judge, steps=steps, solutions=solutions, buffer=buffer,
        template=template, seed=seed, iteration=iteration,
    )  # fmt: skip
    # one that goes on from an earlier iteration has learnt from more than these
    samples = value_samples if value_model is None else ()
    pretrained = learn_values(recipe, stage, models, samples, judge=judge, template=template, seed=seed)
    training = _Training(
        recipe=recipe,
        stage=stage,
        models=models,
        source=source,
        learner=Learner(recipe, stage, models.policy, models.reference, method, models.initial, models.critic),
        buffer=buffer,
        prompts=prompts,
        heldout=ask(heldout[: recipe.num_evaluated], "heldout") if recipe.evaluate_every else [],
        iteration=iteration,
        samples=Samples(stage.path, keeps=stage.writes and iteration.keeps_samples),
    )
    try:
        position = training.complete()
    finally:
        models.close()
    _finish(recipe, stage, models, template, pretrained | {"position": position}, start=model)
    training.samples.remove()


def _finish(recipe: RLRecipe, stage: Stage, models: Models, template: str, more: Values, *, start: str | Path) -> None:
    outputs = {"model": stage.path / "model", "rollouts": stage.path / "rollouts.jsonl"}
    save(models.policy, outputs["model"])
    if recipe.lora is not None:
        outputs["adapter"] = stage.path / "adapter"
        lora.save_adapter(models.policy, outputs["adapter"], recipe.lora, base=start)
    if models.critic is not None:
        outputs["value_model"] = stage.path / "value_model"
        models.critic.save(outputs["value_model"])
    if stage.writes:
        keep_template(stage.path / "model", template, models.policy.tokenizer, recipe.mode)
    stage.finish(outputs=outputs, summary=summary_of(recipe, stage) | more)
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)
    checkpoint.leave(stage.path / PART / CHECKPOINTS, recipe.optimiser, 0)  # the stage's own hold what came of it
    RolloutBuffer(stage.path / BUFFER, writes=stage.writes).remove()


@dataclass(slots=True, kw_only=True)
class _Training:
    """A training in progress."""

    recipe: RLRecipe
    stage: Stage
    models: Models
    source: Explorer | Given
    learner: Learner
    buffer: RolloutBuffer
    prompts: Sequence[EncodedPrompt]
    heldout: Sequence[EncodedPrompt]
    iteration: Iteration
    samples: Samples
    guards: Guards = field(default_factory=Guards)
    gaming: Gaming = field(default_factory=Gaming)
    _told_unscored: bool = False
    _told_silent: set[str] = field(default_factory=set)

    def complete(self) -> int:
        """Train from the last checkpoint, or from the beginning, to the last step.

        Returns where the next iteration begins in the order of the problems.
        """
        recipe, stage = self.recipe, self.stage
        per_step = recipe.inner_updates * recipe.num_minibatches
        num_updates = (recipe.num_steps - recipe.value_warmup_steps) * per_step
        lm, critic = self.models.policy, self.models.critic
        optimiser = Optimiser(lm.model, recipe.optimiser, num_steps=num_updates)
        value_optimiser = None
        if critic is not None:
            value_optimiser = critic.optimiser(recipe.num_steps * per_step * recipe.value_updates)
        trained = Trained.of(lm, optimiser, critic, value_optimiser)
        folder = stage.path / CHECKPOINTS
        rollouts = RolloutFile(stage.path / "rollouts.jsonl", writes=stage.writes)
        idleness = Idleness(recipe.method)
        start, position = self._resume(trained, rollouts, idleness)
        due = checkpoint.Due(recipe.checkpoint_every)
        if start == 0:
            self._warn_of_repetition()
        lm.model.eval()
        with (
            sandbox_for([p.prompt for p in (*self.prompts, *self.heldout)]) as sandbox,
            stage.progress(recipe.method, total=recipe.num_steps) as advance,
        ):
            advance(start)
            done = start
            for step in range(start, recipe.num_steps):
                if self._stops():
                    break
                if self.heldout and step % recipe.evaluate_every == 0:
                    self._evaluate(step, sandbox)
                if step == start:
                    asked = f"{recipe.problems_per_step} problems, {recipe.group_size} responses to each"
                    stage.say(f"step {step + 1} of {recipe.num_steps} begins: {asked}")
                found = self._explore(step, position, sandbox)
                position = found.position
                try:
                    idleness.explored(found.values, _reasons(found))
                except MathwrightError:
                    self.buffer.drop(step)  # to be scored again
                    raise
                values = found.values | self.learner.learn(step, found.groups, optimiser, value_optimiser)
                rollouts.append(step, found.groups[: recipe.saved_groups])
                self.samples.append(step, found.groups)
                self._report(step, values, found)
                idleness.learned(values)
                done = step + 1
                advance(1)
                is_last = step + 1 == recipe.num_steps or self._stops()
                if is_last or due.now(done):
                    with due.saving():
                        checkpoint.save(
                            folder,
                            parts=trained.parts,
                            optimisers=trained.optimisers,
                            step=done,
                            extra={"position": position} | self._coefficient(),
                        )
                    self.buffer.forget(before=checkpoint.oldest_step(folder))
            idleness.finished()
            row = TABLE_10[recipe.method]
            if not idleness.prefers and row.compares and row.data == "policy":
                self._warn(done, "no group of any step had unequal rewards: nothing but the KL was trained")
            if self.heldout:
                self._evaluate(done, sandbox)
        self.samples.write()
        return position

    def _stops(self) -> bool:
        """Whether the learned reward is being gamed, and that ends the training."""
        learned = self.recipe.reward == "model" or self.recipe.step_reward == "model"
        return bool(self.gaming.found) and learned and self.recipe.when_gamed == "stop"

    def _resume(self, trained: Trained, rollouts: RolloutFile, idleness: Idleness) -> tuple[int, int]:
        """Restore the last checkpoint, if there is one, and forget what was measured after it.

        Returns the next step, and where it begins in the order of the problems.
        """
        stage, start, position = self.stage, 0, self.iteration.position
        parallel.barrier(parallel.world())  # until the first process has made, or cleared, the stage's folder
        if (newest := checkpoint.latest(stage.path / CHECKPOINTS)) is not None:
            restored = checkpoint.restore(newest, parts=trained.parts, optimisers=trained.optimisers)
            start, position = restored.step, restored.extra["position"]
            if (kl := self.learner.method.kl_coefficient) is not None:
                kl.beta = restored.extra["kl_coef"]
            stage.say(f"resuming after step {start} of {self.recipe.num_steps}")
        elif stage.metrics():
            stage.say(checkpoint.BEGINS_AGAIN)
        for kind in ("train", "eval", "warning", "unscored"):
            stage.rewind_metrics(start, kind)
        rollouts.rewind(start)
        self.samples.rewind(start)
        for earlier in stage.metrics():
            if earlier.get("kind") == "train" and earlier["step"] < start:
                self.guards.warnings(earlier["step"], earlier)  # what has been said already is not said again
                self.gaming.learned(earlier, num_questions=self.recipe.problems_per_step)
                idleness.explored(earlier, "")
                idleness.learned(earlier)
        return start, position

    def _coefficient(self) -> dict[str, float]:
        """beta, for the checkpoint, where it may change from step to step."""
        kl = self.learner.method.kl_coefficient
        return {} if kl is None else {"kl_coef": kl.beta}

    def _explore(self, step: int, position: int, sandbox: Sandbox | None) -> Exploration:
        if isinstance(self.source, Given):
            return self.source.explore(step, position)
        return self.source.explore(step, position, self.models.exploring_generator, sandbox)

    def _evaluate(self, step: int, sandbox: Sandbox | None) -> None:
        """Greedy answers of the policy to the held-out problems, which several processes share."""
        greedy = replace(self.recipe.sampling, temperature=0.0)
        world = parallel.world()
        mine = self.heldout[world.rank :: world.size]
        with self.models.generator() as generator:
            completions = respond(
                generator,
                mine,
                greedy,
                seeds=[[0]] * len(mine),
                sandbox=sandbox,
                max_tool_rounds=self.recipe.max_tool_rounds,
            )
        items = [(p.prompt, row[0]) for p, row in zip(mine, completions, strict=True)]
        samples = judged(items, sandbox=sandbox)
        samples = parallel.gather(samples, world)
        scored = [s.verdict.correct for s in samples if s.verdict.scored]
        self._log(
            step,
            "eval",
            accuracy=sum(scored) / len(scored) if scored else None,
            num_problems=len(scored),
            response_tokens=sum(len(s.completion.tokens) for s in samples) / len(samples),
            truncated=sum(s.completion.finish == "length" for s in samples) / len(samples),
        )

    def _warn_of_repetition(self) -> None:
        num_asked, num_there = self.source.num_per_step, self.source.num_items
        if num_asked > num_there:
            self._warn(
                0,
                f"a step takes {num_asked} {self.source.items}, but there are {num_there}: each comes up to "
                f"{-(-num_asked // num_there)} times in a step; lower rl.problems_per_step, or give more problems",
            )

    def _log(self, step: int, kind: str, **values: float | int | str | None) -> None:
        self.stage.log(step, kind=kind, iteration=self.iteration.number, **values)

    def _warn(self, step: int, line: str) -> None:
        self._log(step, "warning", message=line)
        self.stage.warn(line)

    def _report(self, step: int, values: Values, found: Exploration) -> None:
        for reason, count in found.unscored.most_common():
            self._log(step, "unscored", reason=reason, count=count)
        self._log(step, "train", **values)
        numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
        for line in self.guards.warnings(step, numbers):
            self._warn(step, line)
        if line := self.gaming.learned(numbers, num_questions=self.recipe.problems_per_step):
            self._warn(step, f"step {step}: {line}")
        if found.unscored and not self._told_unscored:
            self._told_unscored = True
            self._warn(step, f"step {step}: responses without a reward: {_reasons(found)}")
        if step == 0 and values.get("accuracy") == 0:
            self._warn(
                step,
                "step 0: no response was right: where the model cannot solve these problems at all, nothing is "
                "learned; fine-tune it first (`mathwright sft`), ask easier ones, read rollouts.jsonl",
            )
        for name in found.silent:
            if name not in self._told_silent:
                self._told_silent.add(name)
                self._warn(step, f"step {step}: {name} gave no response a number: does it return one?")
        if (step + 1) % max(1, self.recipe.num_steps // 10) == 0:
            shown = ("reward_mean", "accuracy", "kl", "response_tokens", "truncated")
            told = ", ".join(f"{name} {values[name]:.3g}" for name in shown if isinstance(values.get(name), float))
            self.stage.say(f"step {step + 1} of {self.recipe.num_steps}: {told}")


def _reasons(found: Exploration) -> str:
    """Why responses have no reward: the most frequent reason, of equally frequent ones the first."""
    if not found.unscored:
        return ""
    reason, count = found.unscored.most_common(1)[0]
    others = len(found.unscored) - 1
    more = f" (and {others} other reason{'s' if others > 1 else ''})" if others else ""
    return f"{reason}, {count} times{more}"
