"""Write the weights and what is expected of them of this folder, by README's own code on the stand-ins of models.py.

  python3 make.py README.md FOLDER

Needs PyTorch 2.9.1, safetensors 0.8.0 and Pillow 12.0.0. Writes FOLDER/FAMILY.safetensors, the weights, and
FOLDER/FAMILY-expected.safetensors; for BEiT-3 also beit3-picture.safetensors, with `picture` in place of `image`, and
beit3-both.safetensors, with both.
"""
import os, re, sys
from types import SimpleNamespace
import numpy as np
from PIL import Image
import torch
import safetensors.torch
import models

readme, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
common = dict(dim=16, heads=4, ffn=24, image=16, patch=8, vocab=40)
sizes = {
    "beit3": SimpleNamespace(**common, layers=2, positions=12, eps=1e-5),
    "vlmo": SimpleNamespace(**common, layers=3, positions=8, eps=1e-6, vl_layers=1, reach=10),
}
snippets = {}
for code in re.findall(r"```python\n(.*?)```", open(readme).read(), re.S):
    if "expected.safetensors" in code:
        snippets["vlmo" if "infer_image_ft" in code else "beit3"] = code
os.chdir(folder)


def seeded(model):
    """Weights of about the size of trained ones, other for each tensor."""
    g = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=g) * (0.3 if p.dim() < 2 else 1.5 * p[0].numel() ** -0.5) + (1.0 if name.endswith("weight") and p.dim() == 1 else 0.0))
    return model.eval()


def run(family, model, image, ids):
    exec(snippets[family], {"model": model, "image": image, "ids": ids})
    return "expected.safetensors"


def numbers(tensors):
    return {k: v.contiguous() for k, v in tensors.items()}


for family, make in (("beit3", models.BEiT3ForRetrieval), ("vlmo", models.VLMo)):
    c = sizes[family]
    model = seeded(make(c))
    safetensors.torch.save_file(numbers(model.state_dict()), family + ".safetensors")
    g = torch.Generator().manual_seed(9)
    image, ids = torch.randn(1, 3, c.image, c.image, generator=g), torch.randint(4, c.vocab, (1, c.positions - (2 if family == "beit3" else 0)), generator=g)
    os.replace(run(family, model, image, ids), family + "-expected.safetensors")
    if family == "beit3":
        # A photograph, as BEiT-3's code prepares it for ImageNet: the shorter side resized, the centre, mean and std.
        picture = (np.add.outer(np.arange(20) * 7, np.arange(28) * 5)[..., None] + np.arange(3) * 90).astype(np.uint8)
        w, h = round(28 * 16 / 20), 16
        small = Image.fromarray(picture).resize((w, h), Image.BICUBIC)
        left = round((w - 16) / 2)
        x = torch.from_numpy(np.array(small.crop((left, 0, left + 16, 16)))).permute(2, 0, 1) / 255
        image = ((x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None])[None]
        for name, drop in (("picture", ["image"]), ("both", [])):
            out = safetensors.torch.load_file(run(family, seeded(make(c)), image, ids))
            out["picture"] = torch.from_numpy(picture)
            safetensors.torch.save_file({k: v for k, v in out.items() if k not in drop}, "beit3-%s.safetensors" % name)
        os.remove("expected.safetensors")
