#!/usr/bin/env python3
"""Judges how pictures are read by Pillow: a binary embeds generated files, and the pixels that Pillow makes of them.

    python3 check_pictures.py --binary bin/drop-emoji [--count 1000] [--seed 1] [--keep FOLDER]

Needs Pillow 11 or 12 and numpy. The binary's model has `preprocess: {alpha: drop}`, as Pillow's convert('RGB') drops it. Of each file
Pillow's pixels are written as an RGB PNG, and both are embedded, once as stored (--exif=false) and once upright (ImageOps.exif_transpose).
Embeddings have to be equal. 16-bit gray is held against its high byte, which Pillow's convert clips instead. Prints a line a kind;
the exit status is 1 if one failed.
"""
import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import PIL
from PIL import Image, ImageOps


def content(rng, w, h):
    """A picture with edges, gradients and some noise, RGBA."""
    nrng = np.random.default_rng(rng.getrandbits(32))
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    out = np.zeros((h, w, 4))
    for c in range(4):
        a, b, d = nrng.uniform(-1, 1, 3)
        out[..., c] = 128 + 100 * np.sin(a * x / max(w, 1) * 9 + b * y / max(h, 1) * 9 + 3 * d)
    for _ in range(rng.randint(1, 5)):
        x0, y0 = rng.randrange(w), rng.randrange(h)
        out[y0:y0 + rng.randint(1, h), x0:x0 + rng.randint(1, w), :] = nrng.uniform(0, 255, 4)
    out += nrng.normal(0, rng.choice([0, 2, 10]), out.shape)
    if rng.random() < 0.3:
        out[..., 3] = rng.choice([0, 255])
    return Image.fromarray(out.clip(0, 255).astype(np.uint8), "RGBA")


def exif(rng):
    """An EXIF block with an orientation, or none."""
    e = Image.Exif()
    if rng.random() < 0.6:
        e[0x112] = rng.randint(1, 8)
    return e.tobytes()


def gray16(img):
    return Image.fromarray((np.asarray(img.convert("L")).astype(np.uint16) * 257 + np.arange(img.width, dtype=np.uint16) % 200).astype(np.uint16))


def save(img, fmt, **options):
    b = io.BytesIO()
    img.save(b, fmt, **options)
    return b.getvalue()


def frames(img, rng):
    return [img.rotate(90 * i, expand=False) for i in range(1, rng.randint(2, 4))]


def palette(img, rng):
    return img.convert("RGB").quantize(rng.choice([2, 5, 16, 100, 256]))


def jpeg(mode, **fixed):
    def make(img, rng):
        o = dict(quality=rng.choice([30, 75, 90, 95, 100]), subsampling=rng.choice([0, 1, 2]), progressive=rng.random() < 0.3,
                 optimize=rng.random() < 0.3, exif=exif(rng), **fixed)
        if rng.random() < 0.3:
            o["restart_marker_blocks"] = rng.randint(1, 20)
        return save(img.convert("RGB").convert(mode), "JPEG", **o), "jpg"
    return make


def tiff(mode, compressions, lossless=True):
    def make(img, rng):
        c = rng.choice(compressions)
        i = palette(img, rng) if mode == "P" else gray16(img) if mode == "I;16" else img.convert("RGB").convert("F") if mode == "F" else \
            img.convert("RGB").convert(mode) if mode in ("YCbCr", "CMYK", "LAB") else img.convert(mode)
        info = {}
        if rng.random() < 0.6:
            info[0x112] = rng.randint(1, 8)
        return save(i, "TIFF", compression=c, tiffinfo=info), "tif"
    return make


RAW = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]


def png(mode):
    def make(img, rng):
        i = palette(img, rng) if mode == "P" else gray16(img) if mode == "I;16" else img.convert(mode)
        o = dict(optimize=rng.random() < 0.3, exif=exif(rng))
        if mode == "P" and rng.random() < 0.5:
            o["transparency"] = rng.randrange(len(i.getpalette()) // 3)
        if mode in ("L", "RGB") and rng.random() < 0.3:
            o["transparency"] = 7 if mode == "L" else (1, 2, 3)
        if mode == "P":
            o["bits"] = rng.choice([8, 8, max(1, (len(i.getpalette()) // 3 - 1).bit_length())])
            if o["bits"] not in (1, 2, 4, 8):
                o["bits"] = 8
        return save(i, "PNG", **o), "png"
    return make


def gif(img, rng):
    i = palette(img, rng)
    o = {}
    if rng.random() < 0.4:
        o["transparency"] = rng.randrange(2)
    if rng.random() < 0.4:
        o.update(save_all=True, append_images=frames(i, rng), duration=50)
    return save(i, "GIF", interlace=rng.random() < 0.5, **o), "gif"


def bmp(mode):
    def make(img, rng):
        i = palette(img, rng) if mode == "P" else img.convert(mode)
        return save(i, "BMP"), "bmp"
    return make


def webp(lossless):
    def make(img, rng):
        i = img.convert(rng.choice(["RGB", "RGBA"]))
        o = dict(lossless=lossless, quality=rng.choice([50, 80, 100]), exact=True, exif=exif(rng), method=rng.choice([0, 4]))
        if rng.random() < 0.3:
            o.update(save_all=True, append_images=frames(i, rng), duration=50)
        return save(i, "WEBP", **o), "webp"
    return make


KINDS = {
    "PNG 1": png("1"), "PNG L": png("L"), "PNG LA": png("LA"), "PNG P": png("P"), "PNG RGB": png("RGB"),
    "PNG RGBA": png("RGBA"), "PNG I;16": png("I;16"),
    "GIF": gif,
    "BMP 1": bmp("1"), "BMP L": bmp("L"), "BMP P": bmp("P"), "BMP RGB": bmp("RGB"), "BMP RGBA": bmp("RGBA"),
    "TIFF 1": tiff("1", RAW + ["group3", "group4"]), "TIFF L": tiff("L", RAW), "TIFF LA": tiff("LA", RAW),
    "TIFF P": tiff("P", RAW), "TIFF RGB": tiff("RGB", RAW), "TIFF RGBA": tiff("RGBA", RAW),
    "TIFF CMYK": tiff("CMYK", RAW), "TIFF I;16": tiff("I;16", RAW), "TIFF F": tiff("F", RAW),
    "TIFF JPEG": tiff("RGB", ["jpeg"]),
    "WebP lossless": webp(True), "WebP lossy": webp(False),
    "JPEG RGB": jpeg("RGB"), "JPEG L": jpeg("L"), "JPEG CMYK": jpeg("CMYK"),
}


def rgb(img):
    """Pillow's pixels, of 16-bit gray the high byte."""
    if img.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(img).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    return img.convert("RGB")


def embed(binary, folder, paths, flags):
    out = os.path.join(folder, "out.npy")
    subprocess.run([binary, "embed", "--image", "--strict", *flags, "-o", out, "-"], input="\n".join(paths).encode(), check=True, stderr=subprocess.PIPE)
    with open(os.path.join(folder, "out.inputs.jsonl"), encoding="utf8") as f:
        names = [json.loads(line)["input"] for line in f]
    return dict(zip(names, np.load(out)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", required=True)
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", help="folder to leave the files in")
    a = p.parse_args()
    if int(PIL.__version__.split(".")[0]) not in (11, 12):
        sys.exit(f"Pillow {PIL.__version__}: want 11 or 12, which resize as what released models were trained with")
    rng = random.Random(a.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or temporary
        os.makedirs(folder, exist_ok=True)
        work = []
        for i in range(a.count):
            kind = list(KINDS)[i % len(KINDS)]
            w, h = rng.choice([(rng.randint(1, 40), rng.randint(1, 40)), (rng.randint(1, 400), rng.randint(1, 400)), (rng.randint(1, 8), rng.randint(100, 300))])
            data, ext = KINDS[kind](content(rng, w, h), rng)
            path = os.path.join(folder, f"{i:05d}.{ext}")
            with open(path, "wb") as f:
                f.write(data)
            # Not from the path: of files that it maps (raw TIFF) Pillow 12.0 mixes up the sides when it turns them.
            stored = Image.open(io.BytesIO(data))
            upright = ImageOps.exif_transpose(stored)
            pixels = []
            for what, img in (("stored", stored), ("upright", upright)):
                pixels.append(os.path.join(folder, f"{i:05d}.{what}.png"))
                rgb(img).save(pixels[-1], compress_level=1)
            work.append((kind, path, pixels))
        failed = 0
        rows = {}
        for column, flags in ((0, ["--exif=false"]), (1, [])):
            got = embed(a.binary, folder, [w[1] for w in work], flags)
            want = embed(a.binary, folder, [w[2][column] for w in work], ["--exif=false"])
            for kind, path, pixels in work:
                row = rows.setdefault(kind, [0, 0, 1.0, ""])
                row[0] += 1
                x, y = got.get(path), want.get(pixels[column])
                if x is None or y is None:
                    cosine, equal = -1, False
                else:
                    cosine, equal = float(np.dot(x.astype(np.float64), y)), np.array_equal(x, y)
                row[2] = min(row[2], cosine)
                if equal:
                    row[1] += 1
                else:
                    failed += 1
                    row[3] = row[3] or f"{os.path.basename(path)} {' '.join(flags)}"
        print(f"Pillow {PIL.__version__}, {a.count} files, seed {a.seed}, each as stored and upright")
        print("| kind | embeddings | equal | least cosine | first that is not |\n|---|---|---|---|---|")
        for kind, (n, good, least, first) in rows.items():
            print(f"| {kind} | {n} | {good} | {least:.7f} | {first} |")
        print("FAILED" if failed else "ok")
        sys.exit(bool(failed))


if __name__ == "__main__":
    main()
