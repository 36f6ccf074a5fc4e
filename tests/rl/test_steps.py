"""Where the steps of a response end."""

from mathwright.rl.steps import step_end_tokens


class Characters:
    """A tokenizer whose tokens are short strings, given as their indices."""

    pieces = ("3 +", " 4 = ", "7", "\nso", " 7", "<eos>")

    def decode(self, tokens, skip_special_tokens):
        return "".join(self.pieces[t] for t in tokens if self.pieces[t] != "<eos>")


def test_a_step_ends_at_the_token_that_holds_its_last_character():
    tokens = range(6)  # "3 + 4 = 7\nso 7<eos>"
    assert step_end_tokens(Characters(), tokens, [9, 14], 14) == [2, 5]  # the end token belongs to the last step
    assert step_end_tokens(Characters(), tokens, [2, 9, 14], 14) == [0, 2, 5]
    assert step_end_tokens(Characters(), tokens, [2, 9], 14) == [0, 2]  # what follows the last step is of no step
