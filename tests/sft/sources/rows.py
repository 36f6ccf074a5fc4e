# ruff: noqa: E501  # rows stand as their publishers write them
"""Invented rows in the schema of each publisher, traps included."""

from __future__ import annotations

from typing import Any

CHOICES = [[{"aoVal": letter, "content": f"$${value}$$ "}] for letter, value in zip("ABCD", (1, 2, 3, 4), strict=True)]

ROWS: dict[str, list[Any]] = {
    "gsm8k": [
        {"question": "Tom has 3 pens and buys 4. How many?", "answer": "He has 3+4=<<3+4=7>>7 pens.\n#### 7"},
        {"question": "Ann reads 1,200 pages. And then?", "answer": "She has none left to add.\n#### 1,200"},
        {"question": "Ann has 2. And then?", "answer": "no mark"},
    ],
    "math": [
        {"problem": "What is $1+1$?", "solution": "It is $\\boxed{2}$.", "level": "Level 1", "type": "Algebra"},
        {"problem": "Show it.", "solution": "Clear.", "level": "Level 5", "type": "Algebra"},
    ],
    "mathinstruct": [
        {"source": "data/CoT/gsm_rft.json", "instruction": "What is 2+2?", "output": "2+2=4\nThe answer is 4"},
        {
            "source": "data/PoT/mathqa.json",
            "instruction": "What is 3 times 5? Please write a program to solve it",
            "output": "a = 3 * 5\nprint(a)",
        },
        {"source": "data/PoT/mathqa.json", "instruction": "What is 1/0? Let's write a Python program.", "output": "1/0"},
    ],
    "metamathqa": [
        {"type": "GSM_Rephrased", "query": "What is 5+6?", "original_question": "5+6?", "response": "5+6=11\n#### 11\nThe answer is: 11"},
        {"type": "GSM_AnsAug", "query": "What is 5+6?", "original_question": "5+6?", "response": "Six and five make 11.\nThe answer is: 11"},
        {"type": "MATH_SV", "query": "What is x?", "original_question": "x?", "response": "Nobody knows."},
    ],
    "lila": [
        {"Instances": [
            {"Input": "What is 9 minus 4?", "Output Answer": ["5"], "Output Program": ["print(9-4)", "print(9-5)"], "split": "train"},
            {"Input": "What is 9 minus 8?", "Output Answer": ["1"], "Output Program": ["print(9-8)"], "split": "test"},
            {"Input": "Which?", "Output Answer": ["1", "2"], "Output Program": ["print(1)"], "split": "train"},
        ]},
    ],
    "ape210k": [
        {"id": "1", "segmented_text": "", "original_text": "2(1/2)米的一半是多少米？", "ans": "1(1/4)", "equation": "x=2(1/2)/2"},
        {"id": "2", "segmented_text": "", "original_text": "打八折是多少元？", "ans": "80", "equation": "x=100*(1-80%)"},
    ],
    "math23k": [
        {"id": "7", "original_text": "李明有3支笔，又买了4支，共几支？", "segmented_text": "", "equation": "x=3+4", "ans": "7"},
        {"id": "8", "original_text": "一个数的20%是5，求这个数。", "segmented_text": "", "equation": "x=5/20%", "ans": "25"},
    ],
    "cmath": [{"grade": 3, "question": "3加4等于几？", "golden": "7", "reasoning_step": 1, "num_digits": 1}],
    "tal_scq5k": [
        {"problem": "$$1+1$$等于几？", "answer_option_list": CHOICES, "answer_value": "B", "queId": "a",
         "answer_analysis": ["$$1+1=2$$，故选$$\\text{B}$$ "], "difficulty": "1", "knowledge_point_routes": ["a->b->c"]},
        {"problem": "$$1+2$$等于几？", "answer_option_list": CHOICES, "answer_value": "C", "queId": "b",
         "answer_analysis": ["$$1+2=3$$，故选$$\\text{D}$$ "], "difficulty": "1", "knowledge_point_routes": ["a->b->c"]},
        {"problem": "$$1+3$$等于几？", "answer_option_list": CHOICES, "answer_value": "D", "queId": "c",
         "answer_analysis": [""], "difficulty": "1", "knowledge_point_routes": ["a->b->c"]},
    ],
    "numinamath_cot": [
        {"source": "synthetic_math", "problem": "What is $2 \\cdot 3$?", "solution": "It is $\\boxed{6}$.", "messages": []},
        {"source": "olympiads", "problem": "Prove it.", "solution": "Clear.", "messages": []},
    ],
    "numinamath_tir": [
        {"problem": "What is $7 \\cdot 8$?", "messages": [],
         "solution": "We multiply.\n```python\nprint(7 * 8)\n```\n```output\n56\n```\nThe answer is $\\boxed{56}$."},
        {"problem": "What is $7 \\cdot 9$?", "messages": [],
         "solution": "We multiply.\n```python\nprint(7 * 9)\nThe answer is $\\boxed{63}$."},
    ],
    "numinamath_1_5": [
        {"problem": f"What is {n}+{n}?", "solution": f"It is $\\boxed{{{2 * n}}}$.", "answer": answer or str(2 * n), "problem_type": "Algebra",
         "question_type": kind, "problem_is_valid": valid, "solution_is_valid": "Yes", "source": "olympiads", "synthetic": False}
        for n, answer, kind, valid in [
            (1, "", "math-word-problem", "Yes"), (2, "", "math-word-problem", "No"), (3, "proof", "math-word-problem", "Yes"),
            (4, "notfound", "math-word-problem", "Yes"), (5, "", "proof", "Yes"), (6, "99", "math-word-problem", "Yes"),
        ]
    ],
    "openmathinstruct_1": [
        {"question": "What is 4 times 5?", "expected_answer": "20", "predicted_answer": "20", "error_message": "", "is_correct": True,
         "dataset": "gsm8k", "generation_type": "without_reference_solution",
         "generated_solution": "We compute.\n<llm-code>\nprint(4 * 5)\n</llm-code>\n<llm-code-output>\n20\n</llm-code-output>\nIt is \\boxed{20}."},
        {"question": "What is 4 times 5?", "expected_answer": "20", "predicted_answer": "9", "error_message": "<not_executed>",
         "is_correct": False, "dataset": "gsm8k", "generation_type": "", "generated_solution": "It is \\boxed{9}."},
        {"question": "What is 4 times 6?", "expected_answer": "24", "predicted_answer": "24", "error_message": "<not_executed>",
         "is_correct": True, "dataset": "gsm8k", "generation_type": "", "generated_solution": "It is \\boxed{24}."},
    ],
    "openmathinstruct_2": [
        {"problem": "What is 11 + 11?", "generated_solution": "It is \\boxed{22}.", "expected_answer": "22", "problem_source": "augmented_math"},
        {"problem": "What is 11 + 11?", "generated_solution": "Twice 11: \\boxed{22}.", "expected_answer": "22", "problem_source": "augmented_math"},
        {"problem": "What is 11 + 12?", "generated_solution": "It is \\boxed{24}.", "expected_answer": "23", "problem_source": "augmented_math"},
    ],
    "openmathreasoning": [
        {"problem": "What is $2^5$?", "generated_solution": "<think>\nHm.\n</think>\nIt is \\boxed{32}.", "expected_answer": "32",
         "problem_type": "has_answer_extracted", "problem_source": "aops", "generation_model": "DeepSeek-R1",
         "pass_rate_72b_tir": "n/a", "inference_mode": "cot", "used_in_kaggle": True},
        {"problem": "What is $2^6$?", "generated_solution": "<think>\nRun.\n<tool_call>\nprint(2**6)\n</tool_call>\n```output\n64\n```\n</think>\nIt is \\boxed{64}.",
         "expected_answer": "64", "problem_type": "has_answer_extracted", "problem_source": "aops", "generation_model": "QwQ",
         "pass_rate_72b_tir": "0.5", "inference_mode": "tir", "used_in_kaggle": True},
        {"problem": "What is $2^7$?", "generated_solution": "<think>\nHm, let me", "expected_answer": "128",
         "problem_type": "has_answer_extracted", "problem_source": "aops", "generation_model": "QwQ",
         "pass_rate_72b_tir": "1.0", "inference_mode": "cot", "used_in_kaggle": True},
        {"problem": "Which is best?", "generated_solution": "Solution 2", "expected_answer": "2", "problem_type": "", "problem_source": "aops",
         "generation_model": "QwQ", "pass_rate_72b_tir": "n/a", "inference_mode": "genselect", "used_in_kaggle": True},
    ],
    "openr1_math": [
        {"problem": "What is 8+8?", "solution": "16", "answer": "16", "problem_type": "Algebra", "question_type": "", "source": "", "uuid": "u",
         "is_reasoning_complete": [True, True, False], "correctness_math_verify": [True, False, True], "correctness_llama": None,
         "generations": ["<think>\na\n</think>\nIt is \\boxed{16}.", "<think>\nb\n</think>\nIt is \\boxed{17}.", "<think>\nc",
                         "<think>\nd\n</think>\nSo it is \\boxed{16}."],
         "finish_reasons": None, "correctness_count": 1, "messages": []},
        {"problem": "Show that 1=1.", "solution": "", "answer": "proof", "generations": [], "is_reasoning_complete": [],
         "correctness_math_verify": [], "correctness_llama": [], "problem_type": "", "messages": []},
    ],
    "deepmath": [
        {"question": "Evaluate $1+2$.", "final_answer": "3", "difficulty": 4.5, "topic": "Algebra",
         "r1_solution_1": "<think>\na\n</think>\nIt is \\boxed{3}.", "r1_solution_2": "Long ago.\n</think>\nSo \\boxed{3}.",
         "r1_solution_3": "It is \\boxed{5}."},
    ],
    "big_math": [
        {"problem": "What is 5-5?", "answer": "0", "source": "orca_math", "domain": ["Mathematics -> Algebra"], "llama8b_solve_rate": 0.5},
        {"problem": "What is 5-4?", "answer": "1", "source": "orca_math", "domain": [], "llama8b_solve_rate": None},
    ],
    "dapo_17k": [
        {"data_source": "math_dapo", "ability": "MATH", "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"},
         "prompt": [{"role": "user", "content": "Solve the following math problem step by step. The last line of your response should be of the form "
                     "Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\nWhat is 17+17?\n\n"
                     'Remember to put your answer on its own line after "Answer:".'}],
         "extra_info": {"index": str(index)}}
        for index in range(100)
    ],
    "orz": [
        [{"from": "human", "value": "What is 6+7?"}, {"from": "assistant", "ground_truth": {"value": "13"}}],
        [{"from": "human", "value": "See https://x.org/a.png. How many?"}, {"from": "assistant", "ground_truth": {"value": "1"}}],
    ],
    "tora": [
        {"dataset": "tora-corpus-math", "level": "Level 5", "id": "math-train-1-0", "gt": "2", "gt_cot": "\\boxed{2}",
         "messages": [{"role": "user", "content": "What is the half of 4?"},
                      {"role": "assistant", "content": "We halve.\n\n```python\nprint(4 // 2)\n```\n```output\n2\n```\nThe answer is $2$, that is $\\boxed{2}$."}]},
    ],
    "mathcodeinstruct": [
        {"messages": [
            {"role": "system", "content": [{"type": "text", "content": ""}]},
            {"role": "user", "content": [{"type": "text", "content": "What is 31 times 3?"}]},
            {"role": "assistant", "content": [{"type": "text", "content": "We multiply."}, {"type": "code", "content": "print(31 * 3)"},
                                              {"type": "execution", "content": "93"}, {"type": "text", "content": "It is \\boxed{93}."}]},
        ], "extra": None},
    ],
    "jsonl": [
        {"question": "What is 40+1?", "answer": "41"},
        {"problem": "What is 40+2?", "solution": "It is \\boxed{42}."},
        {"prompt": "What is 40+3?", "completion": "Adding: the answer is 43."},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 40+4?"}, {"role": "assistant", "content": "\\boxed{44}"}]},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "What is 40+5?"}, {"role": "assistant", "content": "45"}]},
        {"question": "What is 40+6?", "answer": "n/a"},
    ],
}  # fmt: skip

KEPT: dict[str, tuple[int, list[str], list[str], list[str]]] = {
    "gsm8k": (2, ["cot", "cot", "pot"], ["not the layout: no '####' before the final answer"], ["no equation gives the answer"]),
    "math": (1, ["cot"], ["no final answer"], []),
    "mathinstruct": (2, ["cot", "pot"], ["program failed"], []),
    "metamathqa": (1, ["cot", "cot"], ["same question", "no final answer"], []),
    "lila": (2, ["pot", "pot"], ["several answers"], ["program gives another answer"]),
    "ape210k": (2, ["pot", "cot"], [], ["program gives another answer", "program gives another answer"]),
    "math23k": (2, ["pot", "cot", "pot", "cot"], [], []),
    "cmath": (1, [], [], []),
    "tal_scq5k": (3, ["cot"], [], ["answer contradicts the solution", "empty solution"]),
    "numinamath_cot": (1, ["cot"], ["no final answer"], []),
    "numinamath_tir": (2, ["tool"], [], ["unbalanced fences"]),
    "numinamath_1_5": (
        2, ["cot"],
        ["problem_is_valid is 'No'", "the answer is 'proof'", "the answer is 'notfound'", "a proof has no final answer"],
        ["answer contradicts the solution"],
    ),
    "openmathinstruct_1": (2, ["tool", "cot"], ["same question"], ["wrong to its publisher"]),
    "openmathinstruct_2": (2, ["cot", "cot"], ["same question"], ["answer contradicts the solution"]),
    "openmathreasoning": (3, ["cot", "tool"], ["chooses among solutions"], ["thinking that does not end"]),
    "openr1_math": (1, ["cot", "cot"], ["the answer is 'proof'"], ["wrong to its publisher", "thinking that does not end"]),
    "deepmath": (1, ["cot", "cot"], [], ["answer contradicts the solution"]),
    "big_math": (2, [], [], []),
    "dapo_17k": (1, [], ["same question"] * 99, []),
    "orz": (1, [], ["the question holds a link"], []),
    "tora": (1, ["tool"], [], []),
    "mathcodeinstruct": (1, ["tool"], [], []),
    "jsonl": (4, ["cot", "cot", "cot"], ["several questions in a conversation", "the answer is 'n/a'"], []),
}  # fmt: skip
"""By layout: problems, formats of the solutions, reasons of the rows and of the solutions that were set aside."""
