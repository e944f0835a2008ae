"""A question before a figure, and the guess beside the result: `predict`, then `compare`."""

from __future__ import annotations

import html

import ipywidgets

_given: dict[tuple, str] = {}  # guesses of this kernel: a cell that is run again keeps its guess


class Guess(ipywidgets.VBox):
    """A question above one button for each choice; `value` is the choice, None as long as nobody chose.

    The choice is part of the widget's state, which Jupyter saves with the notebook.
    """

    def __init__(self, question: str, choices: tuple[str, ...]):
        self.question, self.choices = question, choices
        self.buttons = ipywidgets.ToggleButtons(
            options=choices, value=_given.get((question, *choices)), style={"button_width": "auto"}
        )
        self.buttons.observe(self._keep, "value")
        super().__init__(
            [ipywidgets.HTML(f"<b>Your guess.</b> {html.escape(question)}"), self.buttons]
        )

    @property
    def value(self) -> str | None:
        return self.buttons.value

    def _keep(self, change: dict) -> None:
        _given[self.question, *self.choices] = change["new"]

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """The buttons, and beside them the question in words for pages where no widget runs."""
        words = " · ".join(map(html.escape, self.choices))
        said = f"<p><b>Your guess.</b> {html.escape(self.question)} <i>{words}</i></p>"
        return super()._repr_mimebundle_(**kwargs) | {"text/html": said}


def predict(question: str, *choices: str) -> Guess:
    """Ask before a figure: one button for each choice, none of them pressed. Show it as a cell's last value.

    Raises ValueError for fewer than two choices, or two that are alike.
    """
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise ValueError(
            f"{question!r} has the choices {list(choices)}: give two or more, all of them different."
        )
    return Guess(question, choices)


def compare(guess: Guess, answer: str) -> bool | None:
    """Print the guess beside this run's answer, which is one of its choices; it runs unanswered, too.

    Returns whether the guess was right, or None where nobody guessed. Raises ValueError for another answer.
    """
    if answer not in guess.choices:
        raise ValueError(
            f"The answer {answer!r} is none of the choices: they are {', '.join(guess.choices)}."
        )
    if guess.value is None:
        print(f"{guess.question} In this run: {answer}.")
        return None
    right = guess.value == answer
    sign = "✓ as you guessed" if right else f"✗ you guessed: {guess.value}"
    print(f"{guess.question} In this run: {answer}. ({sign})")
    return right
