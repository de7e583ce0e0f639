#!/usr/bin/env python3
"""Fits the semantic cache's shipped prior and prints it as src/cache/prior.inc.h.

    remora eval semantic --stream F --max-error 0.05 --features F.jsonl    # one for each stream, and pairs likewise
    bench/prior.py --model NAME --vectors F.vec,... F.jsonl ... > src/cache/prior.inc.h

Of the vectors (as --vectors of the evaluation writes them) only the mean is used, of which the first run does not know yet: do both
steps twice.

A logistic model over the candidates' features: its weights are the mean, and the inverse of its information the covariance, as if
it were known from WORTH times as many labels: streams differ from each other by more than labels of one stream do. A file counts
as much as any other. Only the coefficients leave this program, nothing of the texts."""
import argparse
import json
import sys

import numpy as np

RIDGE = 0.5  # precision of a weight that no label says anything of
WORTH = 0.05
ROWS = 4000  # that each file counts as


def read(path):
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    return np.array([r["x"] for r in rows], float), np.array([r["right"] for r in rows], float)


def logistic(z):
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def fit(features, right, weight):
    """Newton's method for the ridge-penalised likelihood; returns weights and information."""
    w = np.zeros(features.shape[1])
    ridge = RIDGE * np.eye(len(w))
    for _ in range(50):
        p = logistic(features @ w)
        information = (features * (weight * p * (1 - p))[:, None]).T @ features
        step = np.linalg.solve(information + ridge, features.T @ (weight * (p - right)) + ridge @ w)
        w -= step
        if abs(step).max() < 1e-8:
            break
    return w, information


def prior_of(paths, worth=WORTH):
    data = [read(path) for path in paths]
    features = np.vstack([x for x, _ in data])
    right = np.concatenate([y for _, y in data])
    weight = np.concatenate([np.full(len(y), ROWS / len(y)) for _, y in data])
    w, information = fit(features, right, weight)
    return w, np.linalg.inv(information * worth + 5 * worth * np.eye(len(w)))


def numbers(values):
    return "{" + ", ".join(f"{v:.6g}" for v in values) + "}"


def centre_of(paths, dimensions):
    means = [np.fromfile(path, dtype=np.float32).reshape(-1, dimensions).mean(axis=0) for path in paths]
    return np.mean(means, axis=0)


def show(model, centre, w, covariance):
    name = f'"{model}"' if model else "NULL"
    rows = ",\n                 ".join(numbers(row) for row in covariance)
    where = f"\n .centre = {centre},\n .dimensions = RM_COUNT({centre})," if centre else ""
    return f"{{.model = {name},{where}\n .weights = {numbers(w)},\n .covariance = {{{rows}}}}},"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="of the files after it; the last also serves any other model")
    parser.add_argument("--vectors", action="append", required=True, help="of the model before it, apart by commas")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("files", nargs="+", help="features; as many for each model")
    args = parser.parse_args()
    each = len(args.files) // len(args.model)
    print("/* Written by bench/prior.py. */\n/* clang-format off */")
    entries = []
    for i, (model, vectors) in enumerate(zip(args.model, args.vectors)):
        w, covariance = prior_of(args.files[i * each : (i + 1) * each])
        print(f"static const float centre_{i}[] = {numbers(centre_of(vectors.split(','), args.dimensions))};")
        entries.append(show(model, f"centre_{i}", w, covariance))
    entries.append(show(None, None, w, covariance * 4))
    print("static const rm_prior priors[] = {", *entries, "};", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
