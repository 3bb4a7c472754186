"""The benchmarks take turns and report medians."""

import runpy
from pathlib import Path

ALTERNATING = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "alternating.py"))


def test_things_take_turns_and_the_warming_up_is_left_out():
    now = [0.0]
    order: list[str] = []
    lengths = {"a": iter([9.0, 1.0, 2.0, 6.0]), "b": iter([9.0, 4.0, 4.0, 4.0])}

    def thing(name):
        def run():
            order.append(name)
            now[0] += next(lengths[name])

        return run

    timings = ALTERNATING["in_turns"](
        {name: thing(name) for name in lengths}, repetitions=3, clock=lambda: now[0]
    )
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert timings["a"].seconds == (1.0, 2.0, 6.0)
    assert (timings["a"].median_s, timings["a"].least_s, timings["a"].most_s) == (2.0, 1.0, 6.0)
    assert timings["b"].median_s == 4.0


def test_tables_give_seconds_a_second_of_audio():
    timings = {"x": ALTERNATING["Timing"]((1.0, 3.0, 2.0))}
    assert (
        ALTERNATING["table"](timings, audio_s=8.0).splitlines()[-1] == "| x | 2.000 | 1.000 | 3.000 | 0.250 |"
    )
