"""Write the checkpoints of this folder: one model's weights, saved in the ways that people save them.

Run with PyTorch 2.9.1, NumPy and safetensors 0.8.0: python3 make.py FOLDER [cured]
Every file but those under "another model" holds the weights of base.safetensors. With "cured" it also writes what comes of
doing as the errors about those say, which has them again.
"""
import copy, io, json, os, struct, sys, zipfile
import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations
import torch.nn.utils.prune
from torch.optim.swa_utils import AveragedModel
import safetensors.torch

os.chdir(sys.argv[1])
D, F, VOCAB, POSITIONS, PATCHES, PATCH = 8, 8, 8, 6, 4, 2


def shapes():
    """The tensors of BEiT-3 of one layer with the heads of retrieval."""
    s = {"beit3.text_embed.weight": (VOCAB, D), "beit3.vision_embed.mask_token": (1, 1, D), "beit3.vision_embed.cls_token": (1, 1, D),
         "beit3.vision_embed.proj.weight": (D, 3, PATCH, PATCH), "beit3.vision_embed.proj.bias": (D,),
         "beit3.encoder.embed_positions.A.weight": (PATCHES + 3, D), "beit3.encoder.embed_positions.B.weight": (POSITIONS, D)}

    def both(name, out, *inputs):
        for side in ("A", "B"):
            s[name % side + ".weight"], s[name % side + ".bias"] = (out, *inputs), (out,)

    layer = "beit3.encoder.layers.0."
    for m in ("k_proj", "v_proj", "q_proj", "out_proj"):
        both(layer + "self_attn." + m + ".%s", D, D)
    both(layer + "self_attn.inner_attn_ln.%s", D)
    both(layer + "self_attn_layer_norm.%s", D)
    both(layer + "ffn.%s.fc1", F, D)
    both(layer + "ffn.%s.fc2", D, F)
    both(layer + "ffn.%s.ffn_layernorm", F)
    both(layer + "final_layer_norm.%s", D)
    both("beit3.encoder.layer_norm.%s", D)
    s.update({"language_head.weight": (D, D), "vision_head.weight": (D, D), "logit_scale": ()})
    return s


class Model(nn.Module):
    """A tree of modules whose state dict has the given keys."""

    def __init__(self, tensors):
        super().__init__()
        for key, value in tensors.items():
            at, *parts = self, *key.split(".")
            for p in parts[:-1]:
                if not hasattr(at, p):
                    at.add_module(p, nn.Module())
                at = getattr(at, p)
            at.register_parameter(parts[-1], nn.Parameter(value))


torch.manual_seed(1)
base = Model({k: torch.randn(s) / 4 + (1 if k.endswith("norm.weight") or ".layer_norm" in k else 0) for k, s in shapes().items()})
weights = base.state_dict()
other = {k: v + 1 for k, v in weights.items()}


def numbers(tensors):
    return {k: v.detach().contiguous() for k, v in tensors.items()}


def st(name, tensors):
    safetensors.torch.save_file(numbers(tensors), name)


def prefixed(prefix, tensors=weights):
    return {prefix + k: v for k, v in tensors.items()}


st("base.safetensors", weights)

# Formats.
torch.save({"model": weights, "epoch": np.arange(300), "names": np.array(["a", "b"]), "order": np.asfortranarray(np.ones((2, 3)))}, "numpy-protocol5.pth", pickle_protocol=5)
torch.save(weights, "legacy-protocol5.pth", pickle_protocol=5, _use_new_zipfile_serialization=False)
torch.save({k: v.double() for k, v in weights.items()}, "f64.pth")
st("f64.safetensors", {k: v.double() for k, v in weights.items()})
plain = io.BytesIO()
torch.save({"model": weights}, plain)
with zipfile.ZipFile(plain) as old, zipfile.ZipFile("deflated.zip", "w", zipfile.ZIP_DEFLATED) as new:
    for i in old.infolist():
        new.writestr(i.filename, old.read(i))
raw = open("base.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8 : 8 + n])
header.pop("__metadata__", None)
for e in header.values():
    e["note"] = {"by": ["someone", None, 1.5]}
text = (" \n" + json.dumps({"__metadata__": None, **header}, indent=1)).encode()
open("unknown-field.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + raw[8 + n :])

# Prefixes.
st("compiled.safetensors", torch.compile(base).state_dict())
torch.save({"state_dict": prefixed("model."), "hyper_parameters": {"lr": 1e-4}, "pytorch-lightning_version": "2.5"}, "lightning.ckpt")
averaged = AveragedModel(nn.DataParallel(torch.compile(base)))
torch.save(averaged.state_dict(), "averaged.pth")  # module.module._orig_mod., n_averaged
inner = copy.deepcopy(base)
inner.beit3.encoder = torch.compile(inner.beit3.encoder)
inner.beit3.encoder._orig_mod.layers._modules["0"] = torch.compile(inner.beit3.encoder._orig_mod.layers._modules["0"])
torch.save({"model": inner.state_dict()}, "compiled-inside.pth")
st("model.safetensors", prefixed("module.model.", {**weights, "steps": torch.tensor(3)}))

# Several sets of weights.
torch.save({"model": weights, "model_ema": other, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1.0}]}}, "ema.pth")
torch.save({"state_dict_ema": other, "ema": {"decay": 0.999, "module": weights}, "epoch": 3}, "ema-only.pth")
st("ema.safetensors", {**prefixed("model."), **prefixed("model_ema.module.", other)})
st("teacher.safetensors", {**prefixed("student.backbone."), **prefixed("teacher.backbone.", other)})

# Another model: what lies beside the weights changes them.
q = "beit3.encoder.layers.0.self_attn.q_proj.A"
st("lora.safetensors", {**weights, q + ".lora_A": torch.ones(2, D), q + ".lora_B": torch.ones(D, 2)})
peft = {"base_model.model." + k.replace("q_proj.A.", "q_proj.A.base_layer."): v for k, v in weights.items()}
st("peft.safetensors", {**peft, "base_model.model." + q + ".lora_A.default.weight": torch.ones(2, D), "base_model.model." + q + ".lora_B.default.weight": torch.ones(D, 2)})
for name, change, cure in (
    ("parametrized.pth", parametrizations.weight_norm, lambda module: torch.nn.utils.parametrize.remove_parametrizations(module, "weight")),
    ("weight-norm.pth", nn.utils.weight_norm, torch.nn.utils.remove_weight_norm),
    ("spectral-norm.pth", nn.utils.spectral_norm, torch.nn.utils.remove_spectral_norm),
    ("pruned.pth", lambda module: nn.utils.prune.identity(module, "weight"), lambda module: torch.nn.utils.prune.remove(module, "weight")),
):
    other = copy.deepcopy(base)
    module = other.get_submodule(q)
    change(module)
    torch.save(other.state_dict(), name)
    if len(sys.argv) > 2:
        cure(module)
        torch.save(other.state_dict(), "cured-" + name)
