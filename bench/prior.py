#!/usr/bin/env python3
"""Fits the semantic cache's shipped prior and prints it as src/cache/prior.inc.h.

    remora eval semantic --stream F --max-error 0.05 --features F.jsonl    # for each stream and error, and pairs likewise
    bench/prior.py --model NAME --vectors F.vec,... F.jsonl,... ... > src/cache/prior.inc.h

The files of one stream are joined by commas. Of the vectors (as --vectors of the evaluation writes them) only the mean is used, of
which the first run does not know yet, and which candidates a run meets depends on what it served: do both steps twice, and give the
second fit the files of both.

A logistic model over the candidates' features, with random effects: its weights are the mean. Its covariance is the inverse of the
information, as if known from WORTH times as many labels, and beside it how far the streams' own weights lie from the common ones:
where streams differ, many labels of one say little of the next. A stream counts as much as any other. Only the coefficients leave
this program, nothing of the texts."""
import argparse
import json
import sys

import numpy as np

RIDGE = 0.5  # precision of a weight that no label says anything of
WORTH = 0.1
EFFECTS = 2.0  # times the spread of the streams' own weights, which so few streams show too small
OWN_RIDGE = 100.0  # precision with which a stream's own weights are held to the common ones, by standard deviations of the features
ROWS = 4000  # that each stream counts as


def read(paths):
    rows = [json.loads(line) for path in paths.split(",") for line in open(path, encoding="utf-8")]
    return np.array([r["x"] for r in rows], float), np.array([r["right"] for r in rows], float)


def logistic(z):
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def fit(features, right, weight, start, ridge):
    """Newton's method for the likelihood, with weights held to `start` by the precision `ridge`; returns weights and information."""
    w = start.copy()
    for _ in range(50):
        p = logistic(features @ w)
        information = (features * (weight * p * (1 - p))[:, None]).T @ features
        step = np.linalg.solve(information + ridge, features.T @ (weight * (p - right)) + ridge @ (w - start))
        w -= step
        if abs(step).max() < 1e-8:
            break
    return w, information


def prior_of(streams):
    data = [read(paths) for paths in streams]
    features = np.vstack([x for x, _ in data])
    right = np.concatenate([y for _, y in data])
    weight = np.concatenate([np.full(len(y), ROWS / len(y)) for _, y in data])
    nothing = np.zeros(features.shape[1])
    w, information = fit(features, right, weight, nothing, RIDGE * np.eye(len(nothing)))
    own_ridge = OWN_RIDGE * np.diag(np.average((features - np.average(features, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
    own_ridge += RIDGE * np.eye(len(nothing))
    own = [fit(x, y, np.full(len(y), ROWS / len(y)), w, own_ridge)[0] - w for x, y in data]
    spread = np.mean([np.outer(d, d) for d in own], axis=0)
    return w, np.linalg.inv((information + 5 * np.eye(len(w))) * WORTH) + EFFECTS * spread


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
    parser.add_argument("files", nargs="+", help="features of a stream; as many for each model")
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
