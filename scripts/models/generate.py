"""Trains and exports the models of testdata/models and records what they answer.

usage: generate.py [NAME ...]        all of them without a name
"""

import sys
from pathlib import Path

import built
import chain
import digits
import identity
import record
import tabular
import text

ROOT = Path(__file__).resolve().parents[2] / "testdata" / "models"

# Each writes its model into a folder and returns the cases to record, its score
# on rows that it has not seen, and what the library that trained it predicts
# for a case (None where no library did).
MODELS = {
    "iris": tabular.iris,
    "iris-names": tabular.iris_names,
    "diabetes": tabular.diabetes,
    "mixed": tabular.mixed,
    "external": tabular.external,
    "digits": digits.digits,
    "digits-fp16": digits.digits_fp16,
    "text": text.text,
    "multi": built.multi,
    "sequence": built.sequence,
    "sequence-maps": built.maps,
    "chain-scale": chain.scale,
    "chain-classify": chain.classify,
    "chain-best": chain.best,
    "identity-scalar": identity.scalar,
} | {f"identity-{name}": identity.identity(name) for name in record.DTYPES}


def main(names):
    for name in names or MODELS:
        folder = ROOT / name
        folder.mkdir(parents=True, exist_ok=True)
        cases, score, predict = MODELS[name](folder)
        record.record(folder, cases, predict)
        size = sum(f.stat().st_size for f in folder.iterdir())
        print(f"{name:24} {size:8} bytes   {score}")


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(MODELS)
    if unknown:
        sys.exit(f"generate.py: no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    main(sys.argv[1:])
