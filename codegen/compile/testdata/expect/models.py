"""Stand-ins for the official code of BEiT-3 and VLMo, with its modules, keys and signatures, as far as retrieval needs them."""
import torch
from torch import nn
import torch.nn.functional as F


def attend(q, k, v, heads, bias=None):
    def split(x):
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    scores = split(q) @ split(k).transpose(-1, -2) * (q.shape[-1] // heads) ** -0.5
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(-1) @ split(v)).transpose(1, 2).flatten(2)


class Both(nn.Module):
    """torchscale's MultiwayNetwork for one modality at a time: A sees pictures, B texts."""

    def __init__(self, make):
        super().__init__()
        self.A, self.B = make(), make()

    def forward(self, x, side):
        return getattr(self, side)(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c.heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (Both(lambda: nn.Linear(c.dim, c.dim)) for _ in range(4))
        self.inner_attn_ln = Both(lambda: nn.LayerNorm(c.dim, c.eps))

    def forward(self, x, side):
        a = attend(self.q_proj(x, side), self.k_proj(x, side), self.v_proj(x, side), self.heads)
        return self.out_proj(self.inner_attn_ln(a, side), side)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1, self.fc2, self.ffn_layernorm = nn.Linear(c.dim, c.ffn), nn.Linear(c.ffn, c.dim), nn.LayerNorm(c.ffn, c.eps)

    def forward(self, x):
        return self.fc2(self.ffn_layernorm(F.gelu(self.fc1(x))))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn = Attention(c)
        self.self_attn_layer_norm, self.final_layer_norm = (Both(lambda: nn.LayerNorm(c.dim, c.eps)) for _ in range(2))
        self.ffn = Both(lambda: FeedForward(c))

    def forward(self, x, side):
        x = x + self.self_attn(self.self_attn_layer_norm(x, side), side)
        return x + self.ffn(self.final_layer_norm(x, side), side), None


class Container(nn.Module):
    pass


class BEiT3(nn.Module):
    def __init__(self, c):
        super().__init__()
        n = (c.image // c.patch) ** 2
        self.text_embed = nn.Embedding(c.vocab, c.dim)
        self.vision_embed = Container()
        self.vision_embed.mask_token, self.vision_embed.cls_token = nn.Parameter(torch.zeros(1, 1, c.dim)), nn.Parameter(torch.zeros(1, 1, c.dim))
        self.vision_embed.proj = nn.Conv2d(3, c.dim, c.patch, c.patch)
        self.encoder = Container()
        self.encoder.embed_positions = Container()
        self.encoder.embed_positions.A, self.encoder.embed_positions.B = nn.Embedding(n + 3, c.dim), nn.Embedding(c.positions, c.dim)
        self.encoder.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.encoder.layer_norm = Both(lambda: nn.LayerNorm(c.dim, c.eps))

    def forward(self, textual_tokens=None, visual_tokens=None):
        if visual_tokens is None:
            side, x = "B", self.text_embed(textual_tokens)
        else:
            side, x = "A", self.vision_embed.proj(visual_tokens).flatten(2).transpose(1, 2)
            x = torch.cat([self.vision_embed.cls_token.expand(len(x), -1, -1), x], 1)
        x = x + getattr(self.encoder.embed_positions, side).weight[2 : 2 + x.shape[1]]
        for layer in self.encoder.layers:
            x, _ = layer(x, side)
        return {"encoder_out": self.encoder.layer_norm(x, side)}


class BEiT3ForRetrieval(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.beit3 = BEiT3(c)
        self.language_head, self.vision_head = nn.Linear(c.dim, c.dim, bias=False), nn.Linear(c.dim, c.dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, image=None, text_description=None, padding_mask=None, only_infer=False):
        vision = language = None
        if image is not None:
            vision = F.normalize(self.vision_head(self.beit3(None, image)["encoder_out"][:, 0]), dim=-1)
        if text_description is not None:
            language = F.normalize(self.language_head(self.beit3(text_description)["encoder_out"][:, 0]), dim=-1)
        return vision, language


class Block(nn.Module):
    def __init__(self, c, joint):
        super().__init__()
        self.heads = c.heads
        self.gamma_1, self.gamma_2 = nn.Parameter(torch.zeros(c.dim)), nn.Parameter(torch.zeros(c.dim))
        self.norm1 = nn.LayerNorm(c.dim, c.eps)
        self.attn = Container()
        self.attn.q_bias, self.attn.v_bias = nn.Parameter(torch.zeros(c.dim)), nn.Parameter(torch.zeros(c.dim))
        self.attn.qkv, self.attn.proj = nn.Linear(c.dim, 3 * c.dim, bias=False), nn.Linear(c.dim, c.dim)
        for e in ("text", "imag", "vl")[: 3 if joint else 2]:
            self.add_module("norm2_" + e, nn.LayerNorm(c.dim, c.eps))
            mlp = Container()
            mlp.fc1, mlp.fc2 = nn.Linear(c.dim, c.ffn), nn.Linear(c.ffn, c.dim)
            self.add_module("mlp_" + e, mlp)

    def forward(self, x, modality_type, relative_position_bias):
        a = self.attn
        q, k, v = F.linear(self.norm1(x), a.qkv.weight, torch.cat([a.q_bias, torch.zeros_like(a.q_bias), a.v_bias])).chunk(3, -1)
        x = x + self.gamma_1 * a.proj(attend(q, k, v, self.heads, relative_position_bias))
        e = modality_type[:4]
        mlp = getattr(self, "mlp_" + e)
        return x + self.gamma_2 * mlp.fc2(F.gelu(mlp.fc1(getattr(self, "norm2_" + e)(x))))


class VLMo(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, side = c, c.image // c.patch
        rows = (2 * side - 1) ** 2 + 3 + 2 * c.reach + 2
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, c.heads * c.layers))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.transformer = Container()
        self.transformer.cls_token = nn.Parameter(torch.zeros(1, 1, c.dim))
        self.transformer.patch_embed = Container()
        self.transformer.patch_embed.proj = nn.Conv2d(3, c.dim, c.patch, c.patch)
        self.transformer.blocks = nn.ModuleList(Block(c, i >= c.layers - c.vl_layers) for i in range(c.layers))
        self.transformer.norm = nn.LayerNorm(c.dim, c.eps)
        e = self.text_embeddings = Container()
        e.register_buffer("position_ids", torch.arange(c.positions)[None])
        e.word_embeddings, e.position_embeddings, e.token_type_embeddings = nn.Embedding(c.vocab, c.dim), nn.Embedding(c.positions, c.dim), nn.Embedding(2, c.dim)
        e.LayerNorm = nn.LayerNorm(c.dim, 1e-12)
        self.token_type_embeddings = nn.Embedding(2, c.dim)
        self.pooler = Container()
        self.pooler.dense = nn.Linear(c.dim, c.dim)
        for name in ("itc_text_proj", "itc_image_proj"):
            proj = Container()
            proj.fc = nn.Linear(c.dim, c.dim, bias=False)
            self.add_module(name, proj)
        self.index = self.indices(side)

    def indices(self, side):
        """The rows of the bias table for each two rows of a picture, and of a text."""
        reach, near = self.c.reach, (2 * side - 1) ** 2 + 3
        n, t, total = side * side + 1, self.c.positions, near + 2 * reach + 2
        image, text = torch.zeros(n, n, dtype=torch.long), torch.zeros(t, t, dtype=torch.long)
        for a in range(n - 1):
            for b in range(n - 1):
                image[a + 1, b + 1] = (a // side - b // side + side - 1) * (2 * side - 1) + a % side - b % side + side - 1
        image[0, :], image[:, 0], image[0, 0] = near - 3, near - 2, near - 1
        for a in range(t - 1):
            for b in range(t - 1):
                text[a + 1, b + 1] = b - a + reach - 2 + near + 2
        text[0, :], text[:, 0], text[0, 0] = total - 3, total - 2, total - 1
        return {"image": image, "text": text}

    def rows(self, x, modality):
        bias = self.relative_position_bias_table[self.index[modality]].permute(2, 0, 1)
        for i, block in enumerate(self.transformer.blocks):
            x = block(x, modality, bias[i * self.c.heads : (i + 1) * self.c.heads][None])
        return self.transformer.norm(x)

    def infer_image_ft(self, batch):
        x = self.transformer.patch_embed.proj(batch["image"][0]).flatten(2).transpose(1, 2)
        x = torch.cat([self.transformer.cls_token.expand(len(x), -1, -1), x], 1) + self.token_type_embeddings.weight[1]
        h = self.itc_image_proj.fc(self.rows(x, "image")[:, 0])
        return {"cls_feats": h / h.norm(dim=-1, keepdim=True)}

    def infer_text_ft(self, batch):
        e = self.text_embeddings
        x = e.LayerNorm(e.word_embeddings(batch["text_ids"]) + e.token_type_embeddings.weight[0]) + self.token_type_embeddings.weight[0]
        h = self.itc_text_proj.fc(self.rows(x, "text")[:, 0])
        return {"cls_feats": h / h.norm(dim=-1, keepdim=True)}
