"""Fine-tuning: what is trained, what is packed where, and that a format is learned."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from mathwright.cli.verbs import main
from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.records import Part, Problem, Solution
from mathwright.run import RunDirectory, Stage, read_manifest
from mathwright.sft.recipe import SFTRecipe
from mathwright.sft.training import build_examples, plan_rows, run
from tests.problems import chat_templates

ADAMW = OptimiserRecipe(
    lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=2, decay=()
)
SIZES = ScratchRecipe(vocab_size=320, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
PROBLEMS = [
    Problem(id=f"p{a}-{b}", question=f"What is {a} + {b}?", answer=str(a + b), source="toy", split="train")
    for a in range(5)
    for b in range(5)
]


def cot(problem: Problem) -> Solution:
    text = f"The answer is \\boxed{{{problem.answer}}}."
    return Solution(problem_id=problem.id, format="cot", parts=(Part(kind="text", text=text),), answer=problem.answer)


def tool(problem: Problem) -> Solution:
    parts = (
        Part(kind="code", text="print(1 + 1)\n"),
        Part(kind="output", text="2\n"),
        Part(kind="text", text=f"It is \\boxed{{{problem.answer}}}."),
    )
    return Solution(problem_id=problem.id, format="tool", parts=parts, answer=problem.answer)


def recipe(**changes: object) -> SFTRecipe:
    values = {
        "formats": ("cot", "tool"), "num_examples": 0, "context": 128, "batch_rows": 2, "num_steps": 30,
        "optimiser": ADAMW, "checkpoint_every": 10, **changes,
    }  # fmt: skip
    return SFTRecipe(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, [p.question for p in PROBLEMS], max_length=256, seed=0)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("sft")


def test_only_the_models_own_words_are_trained(lm: LanguageModel, stage: Stage) -> None:
    [example] = build_examples(recipe(), stage, lm, PROBLEMS, [tool(PROBLEMS[0])], template="short", seed=0)
    trained = lm.tokenizer.decode([t for t, on in zip(example.tokens, example.trained, strict=True) if on])
    given = lm.tokenizer.decode([t for t, on in zip(example.tokens, example.trained, strict=True) if not on])
    assert "print(1 + 1)" in trained and "\\boxed{0}" in trained
    assert trained.endswith(lm.tokenizer.eos_token), "the end has to be learned too"
    assert "What is 0 + 0?" in given and "```output\n2\n```" in given
    assert "output" not in trained and "What is" not in trained


def test_problems_without_a_solution_are_said(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MathwrightError, match="no solutions"):
        run(recipe(), stage, model="", problems=PROBLEMS, solutions=[], template="short", dtype="float32", seed=0)
    assert f"{len(PROBLEMS)} of {len(PROBLEMS)} problems have no solution" in capsys.readouterr().err


def test_what_is_left_out_is_counted_by_reason(lm: LanguageModel, stage: Stage) -> None:
    long = Solution(problem_id="p0-0", format="cot", parts=(Part(kind="text", text="1 + 1 = 2\n" * 200),), answer="0")
    stranger = Solution(problem_id="nobody", format="cot", parts=(Part(kind="text", text="x"),), answer="0")
    pot = Solution(problem_id="p0-0", format="pot", parts=(Part(kind="code", text="print(0)\n"),), answer="0")
    solutions = [long, stranger, pot, *map(cot, PROBLEMS)]
    examples = build_examples(recipe(num_examples=20), stage, lm, PROBLEMS, solutions, template="short", seed=0)
    stage.finish(outputs={})
    manifest = read_manifest(stage.path)
    assert manifest is not None
    [funnel] = manifest["funnels"]
    assert funnel["num_in"] == 28
    assert funnel["num_out"] == len(examples) == 20
    assert funnel["dropped"]["other format"] == 1
    assert funnel["dropped"]["no such problem"] == 1
    assert sum(funnel["dropped"].values()) == 8


def test_words_where_a_program_is_asked_for_are_another_format(lm: LanguageModel, stage: Stage) -> None:
    asked = dataclasses.replace(PROBLEMS[0], answer="", tests="assert f() == 1")
    program = Solution(
        problem_id=asked.id, format="pot", parts=(Part(kind="code", text="def f(): return 1"),), answer=""
    )
    formats = recipe(formats=("cot", "pot"), context=256)
    [example] = build_examples(formats, stage, lm, [asked], [cot(asked), program], template="short", seed=0)
    text = lm.tokenizer.decode(example.tokens)
    assert "in one ```python block" in text and "def f(): return 1" in text and "boxed" not in text
    stage.finish(outputs={})
    manifest = read_manifest(stage.path)
    assert manifest is not None and manifest["funnels"][0]["dropped"]["other format"] == 1


def test_no_example_left_is_a_clear_error(lm: LanguageModel, stage: Stage) -> None:
    with pytest.raises(MathwrightError, match="no training example"):
        build_examples(recipe(formats=("pot",)), stage, lm, PROBLEMS, [cot(PROBLEMS[0])], template="short", seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "sft.num_steps is 0"),
        ({"batch_rows": 0}, "sft.batch_rows is 0"),
        ({"formats": ()}, "sft.formats is empty"),
        ({"optimiser": dataclasses.replace(ADAMW, lr=0.0)}, "sft.optimiser.lr is 0.0: nothing would be trained"),
        ({"optimiser": dataclasses.replace(ADAMW, decay=((0.0, 0.0),))}, "the rate would be 0"),
    ],
)
def test_a_recipe_that_trains_nothing_is_refused_before_the_model_is_opened(
    stage: Stage, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(MathwrightError, match=message):
        run(
            recipe(**changes), stage, model=tmp_path / "no model", problems=PROBLEMS, solutions=[cot(PROBLEMS[0])],
            template="short", dtype="float32", seed=0,
        )  # fmt: skip


def test_solutions_without_words_and_too_long_ones_leave_nothing(lm: LanguageModel, stage: Stage) -> None:
    empty = Solution(problem_id="p0-0", format="cot", parts=(Part(kind="text", text=" \n"),), answer="0")
    long = Solution(problem_id="p0-0", format="cot", parts=(Part(kind="text", text="1 + 1 = 2\n" * 200),), answer="0")
    with pytest.raises(MathwrightError, match=r"left of 3 solutions \(empty 1, longer than context 2\)"):
        build_examples(recipe(), stage, lm, PROBLEMS, [empty, long, long], template="short", seed=0)


# --- a model's own chat template ---


def chat_model(folder: Path, family: str, **named: object) -> Path:
    """A random base model whose end of sequence is not the end of a turn under its chat template."""
    made: Any = chat_templates.tokenizer("byte level", chat_templates.TEMPLATES[family][0], **named)  # type: ignore[arg-type]
    config = LlamaConfig(
        vocab_size=len(made), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, tie_word_embeddings=True,
        bos_token_id=made.bos_token_id, eos_token_id=made.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    save(LanguageModel(LlamaForCausalLM(config).eval(), made), folder)
    return folder


def fine_tuned(path: Path, model: Path, **changes: object) -> Path:
    stage = RunDirectory(path, recipe_name="t", recipe={}).stage("sft")
    small = recipe(**{"formats": ("cot",), "context": 250, "num_steps": 40, "batch_rows": 1, **changes})
    run(
        small, stage, model=model, problems=PROBLEMS[:1],
        solutions=[cot(PROBLEMS[0])], template="tokenizer", dtype="float32", seed=0,
    )  # fmt: skip
    return stage.path / "model"


@pytest.mark.parametrize("family", ["gemma", "llama-2"])
def test_the_end_of_a_turn_is_trained_and_every_engine_stops_there(tmp_path: Path, family: str) -> None:
    trained = fine_tuned(tmp_path / "run", chat_model(tmp_path / "base", family))
    lm = load(trained, dtype="float32")
    end = lm.tokenizer.convert_tokens_to_ids(chat_templates.TEMPLATES[family][1])
    assert {end, lm.tokenizer.eos_token_id} <= lm.eos_token_ids
    prompt = encode_prompt(
        lm.tokenizer, build_prompt(PROBLEMS[0], "cot", template="tokenizer", tokenizer=lm.tokenizer).text
    )
    greedy = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=60)
    [[completion]] = Generator(lm).generate([prompt], greedy, seeds=[[0]])
    assert (completion.finish, completion.tokens[-1]) == ("stop", end)
    assert completion.text.strip() == "The answer is \\boxed{0}."
    of_transformers: Any = AutoModelForCausalLM.from_pretrained(trained)
    theirs = of_transformers.generate(torch.tensor([prompt]), max_new_tokens=60, do_sample=False, pad_token_id=0)
    assert theirs[0, len(prompt) :].tolist() == list(completion.tokens), "transformers stops by generation_config.json"


def test_a_base_model_that_would_never_stop_is_refused(tmp_path: Path) -> None:
    model = chat_model(tmp_path / "base", "chatml", eos_token=None)
    solutions = [cot(PROBLEMS[0])]
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("sft")
    with pytest.raises(MathwrightError, match="no end-of-sequence token"):
        run(
            recipe(), stage, model=model, problems=PROBLEMS, solutions=solutions, template="short", dtype="float32",
            seed=0,
        )  # fmt: skip
    fine_tuned(tmp_path / "own", model, num_steps=1)  # its template ends a turn by itself


def test_rows_hold_what_fits_and_every_example_once_an_epoch() -> None:
    lengths = [7, 30, 12, 25, 9, 18, 40, 3]
    rows = plan_rows(lengths, 40, 30, seed=1)
    assert len(rows) == 30
    assert all(sum(lengths[i] for i in row) <= 40 for row in rows)
    flat = [i for row in rows for i in row]
    for epoch in range(len(flat) // 8):
        assert sorted(flat[8 * epoch : 8 * epoch + 8]) == list(range(8))
    assert flat[:8] != flat[8:16], "each epoch has its own order"
    assert plan_rows(lengths, 40, 30, seed=1) == rows


def test_fine_tuning_teaches_the_format_and_resumes_where_it_was_cut(
    lm: LanguageModel, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(lm, tmp_path / "model")
    solutions = [cot(p) for p in PROBLEMS]

    def go(to: Stage, steps: int = 30) -> None:
        run(
            recipe(formats=("cot",), num_steps=steps), to, model=tmp_path / "model", problems=PROBLEMS,
            solutions=solutions, template="short", dtype="float32", seed=0,
        )  # fmt: skip

    go(stage)
    losses = [m["loss"] for m in stage.metrics() if m["kind"] == "train"]
    assert losses[-1] < 0.35 * losses[0]

    # The same training, killed in step 17: the metrics of the whole run must be those of the unbroken one.
    cut = RunDirectory(tmp_path / "cut", recipe_name="t", recipe={}).stage("sft")
    log = Stage.log

    def killed(self: Stage, step: int, **values: object) -> None:
        if step == 17:
            raise KeyboardInterrupt
        log(self, step, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(Stage, "log", killed)
    with pytest.raises(KeyboardInterrupt):
        go(cut)
    monkeypatch.setattr(Stage, "log", log)
    go(cut)
    assert [m["loss"] for m in cut.metrics() if m["kind"] == "train"] == losses


# --- measured while it trains, adapters, folders of solutions ---


def trained(path: Path, model: Path, solutions: list[Solution], **changes: object) -> Stage:
    stage = RunDirectory(path, recipe_name="t", recipe={}).stage("sft")
    run(
        recipe(formats=("cot",), **changes), stage, model=model, problems=PROBLEMS, solutions=solutions,
        template="short", dtype="float32", seed=0,
    )  # fmt: skip
    return stage


@pytest.fixture(scope="module")
def base(lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save(lm, folder)
    return folder


@pytest.mark.parametrize("choose", ["loss", "accuracy"])
def test_the_best_measured_model_is_the_stages(base: Path, tmp_path: Path, choose: str) -> None:
    solutions = [cot(p) for p in PROBLEMS]
    stage = trained(tmp_path / "run", base, solutions, heldout=5, evaluate_every=4, num_steps=12, choose=choose)
    measured = [m for m in stage.metrics() if m.get("kind") == "eval"]
    assert [m["step"] for m in measured] == [0, 4, 8, 12]
    value = (lambda m: -m["heldout_loss"]) if choose == "loss" else (lambda m: m["heldout_accuracy"])
    best = max(measured[1:], key=value)
    manifest = read_manifest(stage.path)
    assert manifest is not None and manifest["outputs"]["model"] == "sft/best"
    assert json.loads((stage.path / "best.json").read_text())["step"] == best["step"]
    trained_ones, heldout = (f for f in sorted(manifest["funnels"], key=lambda f: f["num_in"], reverse=True))
    assert (trained_ones["num_in"], heldout["num_in"]) == (20, 5)
    # the best model measures as it did
    from mathwright.sft.heldout import Heldout, split_heldout

    _, aside, _ = split_heldout(solutions, 5, 0)
    chosen = load(stage.path / "best", dtype="float32")
    again = RunDirectory(tmp_path / "again", recipe_name="t", recipe={}).stage("sft")
    examples = build_examples(recipe(formats=("cot",)), again, chosen, PROBLEMS, aside, template="short", seed=0)
    loss = Heldout(recipe(formats=("cot",)), again, chosen, examples, [], "short").loss()
    assert loss == pytest.approx(best["heldout_loss"], rel=1e-5)


@pytest.mark.parametrize("killed_at", [None, 10])
def test_a_training_ends_where_its_patience_does(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int | None
) -> None:
    pytest.importorskip("peft")
    from mathwright.lm.recipe import LoraRecipe
    from mathwright.sft.heldout import Heldout

    losses = {0: 9.0, 2: 3.0, 4: 2.0, 6: 2.5, 8: 2.2, 10: 1.9, 12: 2.0, 14: 1.95, 16: 1.92, 18: 0.1}
    lora = LoraRecipe(rank=4, alpha=8.0)
    measured: list[int] = []

    def measure(self: Heldout, step: int) -> dict[str, float]:
        measured.append(step)
        if step == killed_at and measured.count(step) == 1:
            raise KeyboardInterrupt
        if step:
            self._keep_best(step, -losses[step])
        return {"heldout_loss": losses[step]}

    monkeypatch.setattr(Heldout, "measure", measure)

    def go(num_steps: int = 18) -> Stage:
        return trained(
            tmp_path / "run", base, [cot(p) for p in PROBLEMS], heldout=5, evaluate_every=2, num_steps=num_steps,
            choose="loss", patience=3, lora=lora, checkpoint_every=4,
        )  # fmt: skip

    if killed_at is not None:
        with pytest.raises(KeyboardInterrupt):
            go()
    stage = go()
    rows = stage.metrics()
    assert [m["step"] for m in rows if m["kind"] == "eval"] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert sum(m["kind"] == "train" for m in rows) == 16
    manifest = read_manifest(stage.path)
    assert manifest is not None and manifest["summary"]["num_steps"] == 16
    assert manifest["outputs"]["model"] == "sft/best" and manifest["outputs"]["adapter"] == "sft/best_adapter"
    assert json.loads((stage.path / "best.json").read_text()) == {"step": 10, "value": -1.9}
    # the adapters are those of the model that is the stage's
    main(["merge", str(stage.path / "best_adapter"), "--out", str(tmp_path / "merged")])
    best, merged = (
        AutoModelForCausalLM.from_pretrained(f).state_dict() for f in (stage.path / "best", tmp_path / "merged")
    )
    assert all(torch.allclose(best[name], merged[name], atol=1e-6) for name in best)
    last = AutoModelForCausalLM.from_pretrained(stage.path / "model").state_dict()
    assert any(not torch.equal(best[name], last[name]) for name in best)
    # asked for more steps it has no more patience than before
    (stage.path / "manifest.json").unlink()
    more = go(num_steps=30).metrics()
    assert [m["step"] for m in more if m["kind"] == "eval"] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert sum(m["kind"] == "train" for m in more) == 16


def test_patience_needs_a_measure(base: Path, tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="no measure of what is best"):
        trained(tmp_path / "run", base, [cot(p) for p in PROBLEMS], patience=2)


def test_held_out_problems_are_no_more_than_there_are(base: Path, tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="hold fewer"):
        trained(tmp_path / "run", base, [cot(PROBLEMS[0])], heldout=1)
    with pytest.raises(MathwrightError, match="nothing is measured"):
        trained(tmp_path / "other", base, [cot(PROBLEMS[0])], choose="loss")


def test_lora_is_saved_merged_and_as_an_adapter(base: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from mathwright.lm.recipe import LoraRecipe

    stage = trained(tmp_path / "run", base, [cot(p) for p in PROBLEMS], num_steps=5, lora=LoraRecipe(rank=4, alpha=8.0))
    merged = AutoModelForCausalLM.from_pretrained(stage.path / "model")
    start = AutoModelForCausalLM.from_pretrained(base)
    tokens = torch.tensor([[5, 6, 7, 8]])
    before = start(tokens).logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what peft asks of transformers
        adapted = peft.PeftModel.from_pretrained(start, str(stage.path / "adapter"))(tokens).logits
    assert not torch.allclose(before, adapted, atol=1e-4), "something was learned"
    torch.testing.assert_close(merged(tokens).logits, adapted, rtol=1e-4, atol=1e-4)
    # the configuration names the model they were trained on, so that one command makes the same model of the two
    main(["merge", str(stage.path / "adapter"), "--out", str(tmp_path / "merged")])
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(again(tokens).logits, adapted, rtol=1e-4, atol=1e-4)
    assert load(tmp_path / "merged", dtype="float32").tokenizer.get_vocab()
