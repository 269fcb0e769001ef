"""What a model says about the lists of `conftest.make_lists`, and what that comes to by hand.

First draws: of four users two are right (a title, and a sentence), one names a wrong candidate, one names two.
HitRatio@1 is 2/4, ValidRatio 3/4. Wilson's interval of 2 of 4, with z² = 3.841459:
.5 ± z / (1 + z²/4) · √(1/16 + z²/64) = .5 ± .349961.

Second draws: two right, one empty, one title that is no candidate. All eight: HitRatio@1 4/8, ValidRatio 5/8.
"""

LOW, HIGH = 0.150039, 0.849961
_ANSWERS = {
    ("Toy Story, GoldenEye", "Four Rooms, Alien, Alien 3"): "Four Rooms.",
    ("Alien, Alien 3", "Toy Story, Heat, GoldenEye"): 'After Alien 3, I would pick "Heat" next.',
    ("Babe, The Piano", "Alien 3, Toy Story, GoldenEye"): " toy story",
    ("GoldenEye, Toy Story", "Babe, Alien, Heat"): "Alien or Heat",
    ("Toy Story, GoldenEye", "Heat, Four Rooms, The Piano"): "four rooms",
    ("Alien, Alien 3", "Heat, The Piano, Babe"): "",
    ("Babe, The Piano", "Four Rooms, Alien, Alien 3"): "Alien 3",
    ("GoldenEye, Toy Story", "Alien 3, Babe, Four Rooms"): "Casablanca",
}


def answer_to(prompt: str) -> str:
    """Answer by the history and the candidates that a prompt names."""
    history = prompt.removeprefix("This user has watched ").split(" in the past.")[0]
    return _ANSWERS[history, prompt.split("movies: ")[1].removesuffix(". Answer:")]
