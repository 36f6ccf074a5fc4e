"""A terminal chat with a model, its Python tool on, so that a person can try it."""

from __future__ import annotations

from contextlib import nullcontext

from rich.prompt import Prompt
from rich.text import Text

from mathwright.judge import final_answer
from mathwright.lm.ending import require_end, stop_at
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.places import fast_dtype
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import usual_template
from mathwright.problems.turns import end_of_own_turn
from mathwright.records import Problem, SolutionFormat
from mathwright.terminal import console
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox

MAX_TOOL_ROUNDS = 4


def chat(
    model: str, *, template: str, mode: SolutionFormat, temperature: float, max_new_tokens: int, device: str = "cpu"
) -> None:
    """Ask questions until an empty line or the end of input; each question stands for itself, as in training.

    `template` "auto" is the one the model was trained with. Raises MathwrightError where the model cannot be loaded.
    """
    lm = load(model, dtype=fast_dtype(device), device=device)
    template = usual_template(model, lm.tokenizer) if template == "auto" else template
    if (end := end_of_own_turn(lm.tokenizer)) is not None:
        stop_at(lm, end)
    require_end(lm)
    sampling = SamplingRecipe(temperature=temperature, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens)
    generator = Generator(lm, max_batch=1)
    console.print("Ask a question; an empty line ends the chat.")
    with Sandbox(num_workers=1) if mode == "tool" else nullcontext() as sandbox:
        tool = PythonTool(sandbox) if sandbox is not None else None
        seed = 0
        while True:
            try:
                question = Prompt.ask(Text("you", "bold cyan"), console=console).strip()
            except EOFError:
                return
            if not question:
                return
            problem = Problem(id="chat", question=question, answer="", source="chat", split="")
            prompt = build_prompt(problem, mode, template=template, tokenizer=lm.tokenizer)
            [[completion]] = generator.generate(
                [encode_prompt(lm.tokenizer, prompt.text)],
                sampling,
                seeds=[[seed]],
                tool=tool,
                max_tool_rounds=MAX_TOOL_ROUNDS if tool is not None else 0,
            )
            seed += 1
            answer = final_answer(prompt, completion.text, sandbox=sandbox)
            console.print(Text.assemble(("model", "bold green"), " ", completion.text.strip()), soft_wrap=True)
            cut = " (cut off: raise --max-new-tokens)" if completion.finish == "length" else ""
            console.print(Text(f"answer: {answer or 'none found'}{cut}", "dim"))
