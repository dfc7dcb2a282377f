"""Two prompts on the same items, three times each: record, then ask which items they disagree on.

Run it in an empty folder: `python prompt_ab.py`. The model is a stand-in; put a call of yours in its place.
"""

from __future__ import annotations

import random

import tele

ITEMS = {f"sum-{a}-{b}": (a, b) for a in range(2, 8) for b in range(3, 7)}
PROMPTS = {"plain": "What is {a} × {b}?", "worked": "3 × 4 = 12 because 4 + 4 + 4 = 12. What is {a} × {b}?"}


def model(prompt: str, a: int, b: int, chance: random.Random) -> str:
    """Answer a product; more often right when the prompt has a worked example."""
    right = chance.random() < (0.95 if "because" in prompt else 0.8)
    return str(a * b if right else a * b + chance.choice((-1, 1)))


def main() -> None:
    """Record both conditions and print what they differ in."""
    for condition, template in PROMPTS.items():
        with tele.experiment("worked-example", condition=condition, sample_size=len(ITEMS)):
            for item, (a, b) in ITEMS.items():
                for replicate in range(3):
                    prompt = template.format(a=a, b=b)
                    chance = random.Random(f"{item} {condition} {replicate}")
                    with tele.span("chat", operation="chat", item_id=item, replicate=replicate, input=prompt) as span:
                        answer = model(prompt, a, b, chance)
                        span.set(output=answer)
                        tele.metric("correct", answer == str(a * b))

    with tele.open() as store:
        correct = "SELECT item_id, condition, value FROM metrics WHERE name = 'correct'"
        print(store.sql(f"SELECT condition, avg(value) AS correct FROM ({correct}) GROUP BY 1 ORDER BY 1"))
        print(
            store.sql(f"""
                PIVOT ({correct}) ON condition
                USING avg(value) GROUP BY item_id ORDER BY worked - plain DESC, item_id LIMIT 5""")
        )


if __name__ == "__main__":
    main()
