# Writes hellaswag-preprocess.json: what lm-evaluation-harness 0.4 (lm_eval/tasks/hellaswag/utils.py) makes of random
# marked-up texts. Run by hand: python3 tests/parity/hellaswag-preprocess.py
import json
import pathlib
import random
import re

PIECES = [" ", "  ", "   ", "[title]", " [title]", "[header]", "[step]", "[substeps] ", "[", "]", "a", "The", "IBM",
          "é", "É", "ß", "İ", "Σ", "ΟΔΟΣ", "😀", "\n", "\t", "\u0085", "\u00a0", "\u001c", "\ufeff", "\u2028", ".", ": "]


def preprocess(text):
    text = text.strip()
    text = text.replace(" [title]", ". ")
    text = re.sub("\\[.*?\\]", "", text)
    return text.replace("  ", " ")


rng = random.Random(1234)
texts = ["".join(rng.choice(PIECES) for _ in range(rng.randrange(0, 14))) for _ in range(300)]
cases = [
    {"text": t, "strip": t.strip(), "capitalize": t.capitalize(), "length": len(t), "preprocess": preprocess(t)}
    for t in texts
]
lines = ",\n".join(json.dumps(case) for case in cases)
pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
