#!/usr/bin/env python3
"""Losses, logits, gradients and short trainings of small transformers in PyTorch, float64: what ours are compared with.

Writes ../golden/torch-forward.json. Weights and ids come from an integer hash (`hash32`), so that the file need not
hold them. Parameters are numbered in the order of our model's `parameters()`; element i of parameter t is
2 u - 1 with u = hash32(i + hash32(1000 + t)) / 2^32, times 0.3, plus 1 for a gain of a norm.

    python3 tests/parity/torch_forward.py [other.json]        # needs torch and numpy, any version since 1.13
"""

import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

B, T, V, C, LAYERS, HEADS, KV_HEADS = 2, 8, 37, 16, 2, 4, 2
D = C // HEADS
STEPS, WARMUP, LR, MIN_LR, CLIP, TRAIN_TOKENS = 40, 4, 1e-2, 1e-3, 1.0, 200

VARIANTS = {
    "baseline": dict(positions="rope", ffn="swiglu", ffnDim=24, norm="rms", tied=True, bias=False),
    "sincos-gelu-layer": dict(positions="sincos", ffn="gelu", ffnDim=36, norm="layer", tied=True, bias=False),
    "learned-untied-bias": dict(positions="learned", ffn="gelu", ffnDim=36, norm="layer", tied=False, bias=True),
    "no-positions-untied": dict(positions="none", ffn="swiglu", ffnDim=24, norm="rms", tied=False, bias=True),
}


def hash32(x):
    x = np.asarray(x, dtype=np.uint32).copy()
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


class Parameters:
    """Makes parameters in order, so that number t is the t-th one asked for."""

    def __init__(self):
        self.all = []

    def make(self, *shape, gain=False):
        count = int(np.prod(shape))
        key = hash32([1000 + len(self.all)])
        u = hash32(np.arange(count, dtype=np.uint32) + key) / 2.0**32
        value = torch.from_numpy(((2 * u - 1) * 0.3 + (1 if gain else 0)).astype(np.float32).reshape(shape))
        self.all.append(value.double().requires_grad_())
        return self.all[-1]


def norm_layer(p, config):
    w = p.make(C, gain=True)
    b = p.make(C) if config["norm"] == "layer" and config["bias"] else None
    if config["norm"] == "layer":
        return lambda x: F.layer_norm(x, (C,), w, b, 1e-5)
    return lambda x: w * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def linear_layer(p, config, inputs, outputs):
    w = p.make(outputs, inputs)
    b = p.make(outputs) if config["bias"] else None
    return lambda x: F.linear(x, w, b)


def rotate(x):
    """Adjacent pairs of (B, T, heads, D)."""
    angles = torch.outer(torch.arange(T, dtype=torch.float64), 10000.0 ** (-torch.arange(0, D, 2, dtype=torch.float64) / D))
    cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def sinusoids():
    """Scaled so that their root mean square is that of the embedding's default start, 1 / sqrt(3 C)."""
    table = torch.zeros(T, C, dtype=torch.float64)
    angles = torch.outer(torch.arange(T, dtype=torch.float64), 10000.0 ** (-torch.arange(0, C, 2, dtype=torch.float64) / C))
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table * math.sqrt(2 / (3 * C))


def attention_layer(p, config):
    qkv = linear_layer(p, config, C, (HEADS + 2 * KV_HEADS) * D)
    out = linear_layer(p, config, C, C)

    def forward(x):
        q, k, v = qkv(x).split((C, KV_HEADS * D, KV_HEADS * D), dim=-1)
        q, k, v = q.view(B, T, HEADS, D), k.view(B, T, KV_HEADS, D), v.view(B, T, KV_HEADS, D)
        if config["positions"] == "rope":
            q, k = rotate(q), rotate(k)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, dim=2) for t in (k, v))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(D)
        scores = scores + torch.full((T, T), float("-inf"), dtype=torch.float64).triu(1)
        return out((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))

    return forward


def feed_forward_layer(p, config):
    f = config["ffnDim"]
    gated = config["ffn"] == "swiglu"
    first = linear_layer(p, config, C, 2 * f if gated else f)
    last = linear_layer(p, config, f, C)

    def forward(x):
        h = first(x)
        return last(F.silu(h[..., :f]) * h[..., f:] if gated else F.gelu(h))

    return forward


class Model:
    def __init__(self, config):
        p = Parameters()
        self.table = p.make(V, C)
        self.positions = None
        if config["positions"] == "learned":
            self.positions = p.make(T, C)
        elif config["positions"] == "sincos":
            self.positions = sinusoids()
        self.blocks = []
        for _ in range(LAYERS):
            self.blocks.append((norm_layer(p, config), attention_layer(p, config)))
            self.blocks.append((norm_layer(p, config), feed_forward_layer(p, config)))
        self.last_norm = norm_layer(p, config)
        self.head = self.table if config["tied"] else p.make(V, C)
        self.parameters = p.all

    def forward(self, window):
        """Logits and losses of windows (B, T + 1)."""
        x = self.table[window[:, :-1]]
        x = x if self.positions is None else x + self.positions
        for norm, layer in self.blocks:
            x = x + layer(norm(x))
        logits = F.linear(self.last_norm(x), self.head)
        return logits, F.cross_entropy(logits.reshape(-1, V), window[:, 1:].reshape(-1), reduction="none")


def stream(length):
    return torch.from_numpy((hash32(np.arange(length, dtype=np.uint32) + hash32([99])) % V).astype(np.int64))


def run(config):
    model = Model(config)
    logits, losses = model.forward(stream(B * (T + 1)).view(B, T + 1))
    losses.mean().backward()
    return {
        "config": config,
        "losses": [round(v, 9) for v in losses.tolist()],
        "lastLogits": [round(v, 9) for v in logits[-1, -1].tolist()],
        # Of each parameter: norm of the gradient, and its product with a vector that weighs elements differently.
        "gradients": [
            [float("%.9g" % g.norm()), float("%.9g" % (g.flatten() @ torch.cos(torch.arange(g.numel(), dtype=torch.float64))))]
            for g in (parameter.grad for parameter in model.parameters)
        ],
    }


def learning_rate(step):
    if step < WARMUP:
        return LR * (step + 1) / WARMUP
    return MIN_LR + (LR - MIN_LR) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - 1 - WARMUP)))


def train(config):
    """AdamW with clipping, decay on matrices only, warm-up and cosine. Window n of the run starts at 5 n mod (length - T)."""
    model = Model(config)
    decayed = [p for p in model.parameters if p.dim() >= 2]
    others = [p for p in model.parameters if p.dim() < 2]
    groups = [dict(params=decayed, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8)
    ids = stream(TRAIN_TOKENS)
    losses, norms = [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        starts = [(step * B + b) * 5 % (TRAIN_TOKENS - T) for b in range(B)]
        loss = model.forward(torch.stack([ids[s : s + T + 1] for s in starts]))[1].mean()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters, CLIP)))
        optimizer.step()
        losses.append(loss.item())
    return {"losses": [round(v, 9) for v in losses], "norms": [round(v, 9) for v in norms]}


def main():
    sizes = dict(contextWindow=T, vocabSize=V, hiddenDim=C, numLayers=LAYERS, numHeads=HEADS, numKvHeads=KV_HEADS)
    result = {"batch": B, "sizes": sizes, "variants": {name: {**run(config), "training": train(config)} for name, config in VARIANTS.items()}}
    golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "torch-forward.json")
    with open(sys.argv[1] if len(sys.argv) > 1 else golden, "w") as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()
