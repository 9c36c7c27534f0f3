"""segno on the same text as symbol.rs, with the same lines as output.

Its PNG modules are whole pixels: 8 make 264 px, and 256 px cannot be asked for.
"""

import io
import statistics
import time

import segno

TEXT = "HTTPS://Q.EXAMPLE/R/K7M2Q9XP"
ROUNDS = 200
MODULES = 33


def draw(kind, size):
    out = io.BytesIO()
    symbol = segno.make(TEXT, error="m", micro=False)
    symbol.save(out, kind=kind, scale=size / MODULES if kind == "svg" else size // MODULES, border=4, light="white")
    return out.getvalue()


for kind, sizes in (("svg", (256, 264)), ("png", (264,))):
    for size in sizes:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            draw(kind, size)
            times.append(time.perf_counter() - start)
        micros = round(statistics.median(times) * 1e6)
        print("segno", kind, size, micros, len(draw(kind, size)), sep="\t")
