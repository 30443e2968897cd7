"""Write weights of two towers and what is expected of them, by README's own code on the classes that people use.

  python3 towers.py README.md FOLDER

Needs PyTorch, safetensors, transformers 4.57 and open_clip_torch 3.3. Writes FOLDER/FAMILY.safetensors, the weights, and
FOLDER/FAMILY-expected.safetensors for clip, siglip and open_clip.
"""
import os, re, sys
import torch
import safetensors.torch
import open_clip
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

readme, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
snippets = {}
for code in re.findall(r"```python\n(.*?)```", open(readme).read(), re.S):
    if "vision_model" in code:
        snippets["clip"] = snippets["siglip"] = code
    elif "encode_image" in code:
        snippets["open_clip"] = code
os.chdir(folder)

vision = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=8)
text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=40, max_position_embeddings=8)


def clip():
    ends = dict(bos_token_id=38, eos_token_id=39, pad_token_id=39)
    return CLIPModel(CLIPConfig(text_config=dict(text, **ends), vision_config=vision, projection_dim=12)), [[38, 5, 7, 9, 39]]


def siglip():
    return SiglipModel(SiglipConfig(text_config=dict(text, projection_size=16), vision_config=vision)), [[5, 7, 9, 1, 1, 1, 1, 1]]


def of_open_clip():
    see = dict(layers=2, width=16, head_width=4, mlp_ratio=1.5, image_size=16, patch_size=8)
    read = dict(context_length=8, vocab_size=40, width=16, heads=2, layers=2, mlp_ratio=1.5)
    return open_clip.CLIP(12, see, read), [[38, 5, 7, 9, 39, 0, 0, 0]]


for family, make in (("clip", clip), ("siglip", siglip), ("open_clip", of_open_clip)):
    model, ids = make()
    g = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            p.copy_(torch.randn(p.shape, generator=g) * (0.3 if p.dim() < 2 else 1.5 * p[0].numel() ** -0.5) + (1.0 if name.endswith("weight") and p.dim() == 1 else 0.0))
    model.eval()
    # Positions of the rows are buffers of transformers' classes, which files do not have.
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if not k.endswith("position_ids") and k != "attn_mask"}
    safetensors.torch.save_file(weights, family + ".safetensors")
    exec(snippets[family], {"model": model, "image": torch.randn(1, 3, 16, 16, generator=g), "ids": torch.tensor(ids)})
    os.replace("expected.safetensors", family + "-expected.safetensors")
