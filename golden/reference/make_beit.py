#!/usr/bin/env python3
"""Makes the cases beit and beit_pooled of golden/testdata with BeitForImageClassification of transformers and its BeitModel.

    python3 make_beit.py --out ../testdata

Needs numpy, torch and transformers. Weights are of splitmix64-v1; truth is float64, as make_goldens.py has it.
"""
import argparse, hashlib, json, os
import numpy as np
import torch
from transformers import BeitConfig, BeitForImageClassification
import make_goldens as g

SEED = 4001
CONFIG = dict(family="beit", task="classification", dim=24, heads=2, head_dim=12, ffn_dim=40, layers=3, image_size=20, patch_size=4, layernorm_eps=1e-12, num_classes=5)


def pooled(model, images):
    return torch.nn.functional.normalize(model.beit(images).pooler_output, dim=-1)


# name, task, its output, and what the model computes for it
CASES = [
    ("beit", "classification", "logits", lambda model, images: model(images).logits),
    ("beit_pooled", "retrieval", "vision_cls", pooled),
]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True)
    out = ap.parse_args().out
    for case in CASES:
        make(out, *case)


def make(out, name, task, output, compute):
    d = os.path.join(out, name)
    os.makedirs(d, exist_ok=True)
    c = {**CONFIG, "task": task}
    model = BeitForImageClassification(BeitConfig(
        hidden_size=c["dim"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"], intermediate_size=c["ffn_dim"], image_size=c["image_size"],
        patch_size=c["patch_size"], layer_norm_eps=c["layernorm_eps"], use_relative_position_bias=True, use_mean_pooling=True, num_labels=c["num_classes"])).eval()
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    rule = lambda k, s: (0.5, 0.25) if ".lambda_" in k else g.rule(k, s)
    W = {k: g.gen_f32(SEED, k, s, *rule(k, s)) for k, s in shapes.items()}
    images = g.gen_f32(SEED, "images", (3, 3, c["image_size"], c["image_size"]), 0.0, 1.0)

    def run(dtype):
        m = model.to(dtype)
        m.load_state_dict({k: torch.from_numpy(v).to(dtype) for k, v in W.items()})
        with torch.no_grad():
            return compute(m, torch.from_numpy(images).to(dtype)).numpy()

    f32, f64 = run(torch.float32), run(torch.float64)
    diff = float(np.abs(f32 - f64).max())
    case = {
        "format": 1, "name": name, "family": "beit", "task": task, "config": c, "note": "BEiT as transformers has it: relative positions, layer scale, the mean of the patches",
        "weights": {"generator": "splitmix64-v1", "seed": SEED, "files": {}, "tensors": [
            {"name": k, "shape": list(v.shape), "offset": rule(k, v.shape)[0], "scale": rule(k, v.shape)[1], "sha256_f32": hashlib.sha256(v.tobytes()).hexdigest()} for k, v in W.items()],
            "parameters": int(sum(v.size for v in W.values()))},
        "runs": [{"name": "image_b3", "kind": task, "weights_dtype": "f32", "inputs": {"image": "image_b3.image"},
                  "outputs": {output: {"tensor": "image_b3." + output, "shape": list(f32.shape), "max_abs": float(np.abs(f64).max()), "f32_vs_f64_max_abs": diff,
                                       "atol": float("%.2g" % max(1e-5, 6 * diff)), "rtol": 1e-5}}}],
        "truth_files": {"f32": "truth.safetensors"}, "worst_f32_vs_f64": diff,
    }
    g.write_safetensors(os.path.join(d, "inputs.safetensors"), {"image_b3.image": images})
    g.write_safetensors(os.path.join(d, "truth.safetensors"), {"image_b3." + output: f64.astype(np.float32)})
    with open(os.path.join(d, "case.json"), "w") as f:
        json.dump(case, f, indent=1)


if __name__ == "__main__":
    main()
