"""Lists the tensors of released models as open_clip and transformers have them.

    python list_tensors.py --out ../../ir/model/testdata/tensors.json

It builds each architecture without memory for its weights and writes, for each layout of checkpoints, how many
tensors a state dict has, how many numbers are in them, and the SHA-256 of its lines "NAME SIZES", sorted, where the size of a scalar is 1. No weights are
downloaded. The test TestPresetTensors of ir/model compares the presets with it. --show LAYOUT ARCHITECTURE prints the lines.
Needs torch, transformers, open_clip_torch and timm.
"""

import argparse
import hashlib
import json

import open_clip
import torch
import transformers
from open_clip import hf_model

# XLM-RoBERTa's sizes, which open_clip reads from the model hub.
XLMR = {
    "xlm-roberta-base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
    "xlm-roberta-large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
}
# Chinese-CLIP's texts, as OFA-Sys/Chinese-CLIP configures them.
CHINESE = {
    "ViT-B-16@RoBERTa-wwm-ext-base-chinese": ("ViT-B-16", XLMR["xlm-roberta-base"]),
    "ViT-L-14@RoBERTa-wwm-ext-base-chinese": ("ViT-L-14", XLMR["xlm-roberta-base"]),
    "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese": ("ViT-L-14-336", XLMR["xlm-roberta-base"]),
    "ViT-H-14@RoBERTa-wwm-ext-large-chinese": ("ViT-H-14", XLMR["xlm-roberta-large"]),
}
CLIP = ["ViT-B-32", "ViT-B-32-256", "ViT-B-16", "ViT-B-16-plus-240", "ViT-L-14", "ViT-L-14-336", "ViT-H-14", "ViT-H-14-378", "ViT-g-14", "ViT-bigG-14",
        "ViT-H-14-worldwide", "ViT-H-14-worldwide-378", "ViT-bigG-14-worldwide", "ViT-bigG-14-worldwide-378"]
CLIPA = ["ViT-L-14-CLIPA", "ViT-L-14-CLIPA-336", "ViT-H-14-CLIPA", "ViT-H-14-CLIPA-336", "ViT-bigG-14-CLIPA", "ViT-bigG-14-CLIPA-336"]
SIGLIP = ["ViT-B-16-SigLIP", "ViT-B-16-SigLIP-256", "ViT-B-16-SigLIP-384", "ViT-B-16-SigLIP-512", "ViT-B-16-SigLIP-i18n-256", "ViT-L-16-SigLIP-256",
          "ViT-L-16-SigLIP-384", "ViT-SO400M-14-SigLIP", "ViT-SO400M-14-SigLIP-384", "ViT-B-32-SigLIP2-256", "ViT-B-16-SigLIP2", "ViT-B-16-SigLIP2-256",
          "ViT-B-16-SigLIP2-384", "ViT-B-16-SigLIP2-512", "ViT-L-16-SigLIP2-256", "ViT-L-16-SigLIP2-384", "ViT-L-16-SigLIP2-512", "ViT-SO400M-14-SigLIP2",
          "ViT-SO400M-14-SigLIP2-378", "ViT-SO400M-16-SigLIP2-256", "ViT-SO400M-16-SigLIP2-384", "ViT-SO400M-16-SigLIP2-512", "ViT-gopt-16-SigLIP2-256",
          "ViT-gopt-16-SigLIP2-384"]


def local_config(name, **_):
    return transformers.XLMRobertaConfig(vocab_size=250002, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, **XLMR[name])


def open_model(name):
    hf_model.AutoConfig.from_pretrained = staticmethod(local_config)
    config = open_clip.get_model_config(name)
    config.pop("custom_text", None) if "hf_model_name" in config["text_cfg"] else None
    if "hf_model_name" in config["text_cfg"]:
        config["text_cfg"]["hf_model_pretrained"] = False
    with torch.device("meta"):
        model = open_clip.CustomTextCLIP(**config) if "hf_model_name" in config["text_cfg"] or config.pop("custom_text", False) else open_clip.CLIP(**config)
    return model


def widths(config):
    """Sizes of open_clip's configuration as transformers calls them."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    return (
        dict(hidden_size=vision["width"], intermediate_size=int(vision["width"] * vision.get("mlp_ratio", 4)), num_hidden_layers=vision["layers"],
             num_attention_heads=vision["width"] // vision.get("head_width", 64), image_size=vision["image_size"], patch_size=vision["patch_size"]),
        dict(hidden_size=text["width"], intermediate_size=4 * text["width"], num_hidden_layers=text["layers"], num_attention_heads=text["heads"],
             vocab_size=text["vocab_size"], max_position_embeddings=text["context_length"]) if "heads" in text else None,
    )


def face_clip(name):
    config = open_clip.get_model_config(name)
    vision, text = widths(config)
    with torch.device("meta"):
        return transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=config["embed_dim"]))


def face_siglip(name):
    # timm has the sizes of pictures.
    config, trunk = open_clip.get_model_config(name), open_model(name).visual.trunk
    text = config["text_cfg"]
    ratio = text.get("mlp_ratio", 4)
    vision = dict(hidden_size=trunk.embed_dim, intermediate_size=trunk.blocks[0].mlp.fc1.out_features, num_hidden_layers=len(trunk.blocks),
                  num_attention_heads=trunk.blocks[0].attn.num_heads, image_size=config["vision_cfg"]["image_size"],
                  patch_size=trunk.patch_embed.patch_size[0])
    text = dict(hidden_size=text["width"], intermediate_size=int(ratio * text["width"]), num_hidden_layers=text["layers"], num_attention_heads=text["heads"],
                vocab_size=text["vocab_size"], max_position_embeddings=text["context_length"], projection_size=config["embed_dim"])
    with torch.device("meta"):
        return transformers.SiglipModel(transformers.SiglipConfig(vision_config=vision, text_config=text))


def face_chinese(name):
    arch, text = CHINESE[name]
    config = open_clip.get_model_config(arch)
    vision, _ = widths(config)
    with torch.device("meta"):
        return transformers.ChineseCLIPModel(transformers.ChineseCLIPConfig(
            vision_config=vision, text_config=dict(vocab_size=21128, max_position_embeddings=512, type_vocab_size=2, **text), projection_dim=config["embed_dim"]))


LAYOUTS = {
    "clip_open_clip": (open_model, CLIP + CLIPA),
    "clip_hf": (face_clip, CLIP),
    "siglip_open_clip": (open_model, SIGLIP),
    "siglip_hf": (face_siglip, SIGLIP),
    "cnclip_hf": (face_chinese, list(CHINESE)),
    "xlmr_open_clip": (open_model, ["xlm-roberta-base-ViT-B-32", "xlm-roberta-large-ViT-H-14"]),
}


def lines(layout, name):
    """The state dict's tensors of floating point, but BERT's pooler, which Chinese-CLIP does not use."""
    state = LAYOUTS[layout][0](name).state_dict()
    shapes = {k: v.shape for k, v in state.items() if v.is_floating_point() and "pooler" not in k}
    return sorted(f"{k} {'x'.join(map(str, s)) or 1}" for k, s in shapes.items()), sum(s.numel() for s in shapes.values())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out")
    p.add_argument("--show", nargs=2, metavar=("LAYOUT", "ARCHITECTURE"))
    a = p.parse_args()
    if a.show:
        print("\n".join(lines(*a.show)[0]))
        return
    result = {}
    for layout, (_, names) in LAYOUTS.items():
        for name in names:
            text, numbers = lines(layout, name)
            digest = hashlib.sha256("".join(l + "\n" for l in text).encode()).hexdigest()
            result.setdefault(layout, {})[name] = {"tensors": len(text), "numbers": numbers, "sha256": digest}
            print(layout, name, len(text), numbers, flush=True)
    if a.out:
        with open(a.out, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
