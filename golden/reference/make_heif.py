"""Makes testdata/pictures.tar.gz of codegen/rt/imagefile/heic and avif: small pictures of many
kinds, and beside each NAME the NAME.png that the reference makes of it: pillow-heif 1.8.1
(libheif 1.23.6) of HEIC, Pillow 12.0.0 (libavif 1.3.0) of AVIF,

    ImageOps.exif_transpose(Image.open(NAME))

with transparency where there is any, unless said here; or nothing, where a file is to be refused.

    pip install pillow==12.0.0 pillow-heif==1.8.1 av
    python3 make_heif.py ../../codegen/rt/imagefile

Pictures are coded by these libraries, and AVIF of 10 bits by FFmpeg. Grids, and what is
cropped and turned, are put together here.
"""

import gzip
import io
import struct
import sys
import tarfile

import av
import numpy as np
import PIL
import pillow_heif
from PIL import Image, ImageOps

assert PIL.__version__ == "12.0.0", PIL.__version__
pillow_heif.register_heif_opener()


def picture(w, h, mode="RGB", seed=1):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w]
    a = np.zeros((h, w, 4))
    a[..., 0] = 255 * x / max(w - 1, 1)
    a[..., 1] = 255 * y / max(h - 1, 1)
    a[..., 2] = 127 + 120 * np.sin(x / 5 + seed) * np.cos(y / 7)
    a[h // 4 : h // 2, w // 4 : w // 2, :3] = (220, 30, 60)
    a[..., :3] += rng.normal(0, 3, (h, w, 3))
    a[..., 3] = np.clip(255 * (x + y) / (w + h) * 1.4 - 40, 0, 255)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8), "RGBA").convert(mode)


def corners(w, h, shift=0):
    """Four colours, of which each turn shows others where they were."""
    a = np.zeros((h, w, 3), np.uint8)
    a[: h // 2, : w // 2], a[: h // 2, w // 2 :] = (200, 40, 40), (40, 180, 60)
    a[h // 2 :, : w // 2], a[h // 2 :, w // 2 :] = (30, 60, 200), (230, 220, 90)
    return Image.fromarray(np.clip(a.astype(int) + shift, 0, 255).astype(np.uint8))


def saved(im, kind, **options):
    b = io.BytesIO()
    im.save(b, kind, **{"quality": 60, **options})
    return b.getvalue()


def box(kind, *body):
    body = b"".join(body)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def boxes(data):
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind.decode(), data[at + 8 : at + size]
        at += size


def coded(data):
    """Config box and data of the one picture in a file."""
    meta = dict(boxes(dict(boxes(data))["meta"][4:]))
    config = [box(k, b) for k, b in boxes(dict(boxes(meta["iprp"]))["ipco"]) if k in ("hvcC", "av1C")][0]
    iloc = meta["iloc"]
    at, length = struct.unpack(">II", iloc[-8:])
    if iloc[5] >> 4:  # with a base
        at += struct.unpack(">I", iloc[-14:-10])[0]
    return config, data[at : at + length]


def ispe(w, h):
    return box("ispe", struct.pack(">III", 0, w, h))


def irot(n):
    return box("irot", bytes([n]))


def imir(axis):
    return box("imir", bytes([axis]))


def clap(w, h, x, y, W, H):
    """What is seen of W x H: w x h from (x, y)."""
    return box("clap", struct.pack(">IIIIiIiI", w, 1, h, 1, 2 * x - (W - w), 2, 2 * y - (H - h), 2))


def nclx(matrix, full):
    return box("colr", b"nclx", struct.pack(">HHHB", 1, 13, matrix, 128 * full))


ALPHA = box("auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")


def file(brand, items, references=(), primary=1, idat=True):
    """items: number: (kind, data, properties), references: (kind, from, [to])."""
    properties, associations, infos = [], b"", b""
    for number, (kind, _, uses) in items.items():
        association = b""
        for p in uses:
            essential = p[4:8] in (b"hvcC", b"av1C", b"irot", b"imir", b"clap", b"zzzz")
            properties.append(p)
            association += bytes([len(properties) | 128 * essential])
        associations += struct.pack(">HB", number, len(uses)) + association
        infos += box("infe", struct.pack(">IHH4sB", 2 << 24, number, 0, kind.encode(), 0))
    inside = b"".join(d for k, d, _ in items.values() if k in ("grid", "iovl") and idat)

    def meta(start):
        places, at, within = b"", start, 0
        for number, (kind, data, _) in items.items():
            if kind in ("grid", "iovl") and idat:
                places += struct.pack(">HHHHII", number, 1, 0, 1, within, len(data))
                within += len(data)
            else:
                places += struct.pack(">HHHHII", number, 0, 0, 1, at, len(data))
                at += len(data)
        return box(
            "meta", bytes(4),
            box("hdlr", bytes(8), b"pict", bytes(13)),
            box("pitm", struct.pack(">IH", 0, primary)),
            box("iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0, len(items)), places),
            box("iinf", struct.pack(">IH", 0, len(items)), infos),
            box("iref", bytes(4), *(box(k, struct.pack(f">HH{len(t)}H", f, len(t), *t)) for k, f, t in references)),
            box("iprp", box("ipco", *properties), box("ipma", struct.pack(">II", 0, len(items)), associations)),
            box("idat", inside) if inside else b"",
        )

    head = box("ftyp", brand.encode(), bytes(4), b"mif1", b"avif" if brand == "avif" else b"heic")
    data = b"".join(d for k, d, _ in items.values() if not (k in ("grid", "iovl") and idat))
    return head + meta(len(head) + len(meta(0)) + 8) + box("mdat", data)


def common(kind, code, name, extra):
    """Files that are the same for both formats but for what is coded."""
    brand = "heic" if kind == "hvc1" else "avif"
    plain = lambda im: coded(saved(im, code))
    config, data = plain(corners(64, 64))
    single = lambda *p: file(brand, {1: (kind, data, [config, ispe(64, 64), *extra, *p])})
    for angle in range(4):
        for axis in (None, 0, 1):
            yield f"irot{angle}-imir{axis}", single(irot(angle), *([] if axis is None else [imir(axis)]))
    yield "clap", single(clap(31, 20, 16, 10, 64, 64))
    # Where it begins at odd pixels, libheif moves chroma by half a pixel.
    odd = single(clap(31, 20, 17, 9, 64, 64))
    yield "clap-odd", odd, Image.open(io.BytesIO(single())).crop((17, 9, 48, 29)) if brand == "heic" else None
    yield "brand-mif1", single().replace(b"ftyp" + brand.encode(), b"ftypmif1")
    tiles = {2 + i: (kind, plain(corners(64, 64, 12 * i))[1], [config, ispe(64, 64), *extra]) for i in range(6)}
    for what, w, h, idat, props in (("grid", 190, 100, True, []), ("grid-mdat", 192, 128, False, []), ("grid-turned", 190, 100, True, [irot(1)])):
        grid = struct.pack(">BBBBHH", 0, 0, 1, 2, w, h)
        items = {1: ("grid", grid, [ispe(w, h), *props]), **tiles}
        yield what, file(brand, items, [("dimg", 1, list(tiles))], idat=idat)
    mask, mdata = plain(picture(64, 64, "RGBA").getchannel("A"))
    masks = {12 + i: (kind, mdata, [mask, ispe(64, 64), ALPHA]) for i in range(6)}
    items = {1: ("grid", struct.pack(">BBBBHH", 0, 0, 1, 2, 190, 100), [ispe(190, 100)]), **tiles, **masks}
    yield "grid-alpha", file(brand, items, [("dimg", 1, list(tiles)), *(("auxl", 10 + i, [i]) for i in tiles)])
    del items[12]
    yield "bad-grid-alpha", file(brand, items, [("dimg", 1, list(tiles)), *(("auxl", 10 + i, [i]) for i in tiles if i != 2)])
    alpha = {1: (kind, data, [config, ispe(64, 64), *extra]), 2: (kind, mdata, [mask, ispe(64, 64), ALPHA])}
    yield "alpha-here", file(brand, alpha, [("auxl", 2, [1])])
    shown = picture(64, 64, "RGBA")
    times = np.asarray(shown).astype(int)
    config, data = plain(Image.fromarray((times[..., :3] * times[..., 3:] // 255).astype(np.uint8)))
    alpha[1] = (kind, data, [config, ispe(64, 64), *extra])
    yield "prem", file(brand, alpha, [("auxl", 2, [1]), ("prem", 1, [2])])
    config, data = plain(corners(64, 64))
    yield "bad-property", single(box("zzzz", b"\0"))
    yield "bad-overlay", file(brand, {1: ("iovl", struct.pack(">BB4HHHii", 0, 0, 0, 0, 0, 65535, 64, 64, 0, 0), [ispe(64, 64)]), 2: (kind, data, [config, ispe(64, 64), *extra])}, [("dimg", 1, [2])])
    yield "bad-grid", file(brand, {1: ("grid", struct.pack(">BBBBHH", 0, 0, 1, 2, 192, 128), [ispe(192, 128)]), **tiles}, [("dimg", 1, list(tiles)[:5])])
    yield "bad-cut", single()[:-40]
    yield "bad-data", single()[:-60] + bytes(60)


def heics():
    for w, h in ((61, 45), (51, 39), (130, 2), (16, 16)):
        yield f"{w}x{h}", saved(picture(w, h), "heif")
    for chroma in (422, 444):
        yield f"{chroma}", saved(picture(51, 39), "heif", chroma=chroma)
    yield "grey", saved(picture(51, 39, "L"), "heif")
    yield "grey-limited", saved(picture(51, 39, "L"), "heif", full_range_flag=0)
    yield "rgba", saved(picture(51, 39, "RGBA"), "heif")
    config, data = coded(saved(corners(64, 64), "heif"))
    for what, mode in (("grey", "L"), ("colours", "RGB")):  # of a limited range, which is not made full
        mask, mdata = coded(saved(picture(64, 64, "RGBA").getchannel("A").convert(mode), "heif", full_range_flag=0))
        alpha = {1: ("hvc1", data, [config, ispe(64, 64), nclx(6, 1)]), 2: ("hvc1", mdata, [mask, ispe(64, 64), ALPHA, nclx(6, 0)])}
        yield f"alpha-limited-{what}", file("heic", alpha, [("auxl", 2, [1])])
    yield "limited", saved(picture(51, 39), "heif", full_range_flag=0)
    for matrix in (1, 9):
        yield f"matrix{matrix}", saved(picture(51, 39), "heif", matrix_coefficients=matrix)
    yield "gbr", saved(picture(64, 64), "heif", quality=-1, chroma=444, matrix_coefficients=0)
    turned = Image.Exif()
    turned[0x112] = 6
    yield "exif6", saved(picture(52, 40), "heif", exif=turned.tobytes())
    deep = np.asarray(picture(51, 39)).astype(np.uint16) * 257
    b = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (51, 39), deep.tobytes()).save(b, quality=60)
    yield "10-bit", b.getvalue()
    b = io.BytesIO()
    pillow_heif.from_bytes("L;16", (51, 39), np.ascontiguousarray(deep[..., 0]).tobytes()).save(b, quality=60)
    yield "grey-10-bit", b.getvalue()
    for what, options in (("full", {}), ("limited", {"full_range_flag": 0})):  # said by the coded picture alone
        config, data = coded(saved(picture(64, 64), "heif", **options))
        yield f"unsaid-{what}", file("heic", {1: ("hvc1", data, [config, ispe(64, 64)])})
    config, data = coded(saved(picture(64, 64), "heif"))
    yield "bad-size", file("heic", {1: ("hvc1", data, [config, ispe(640, 480)])})
    yield "bad-matrix", file("heic", {1: ("hvc1", data, [config, ispe(64, 64), nclx(14, 1)])})
    yield from common("hvc1", "heif", "hvcC", [nclx(6, 1)])


def avifs():
    for w, h in ((62, 45), (51, 39), (1, 1)):
        yield f"{w}x{h}", saved(picture(w, h), "avif")
    for chroma in ("4:2:2", "4:4:4"):
        yield chroma.replace(":", ""), saved(picture(51, 39), "avif", subsampling=chroma)
    yield "grey", saved(picture(51, 39, "L"), "avif")
    yield "rgba", saved(picture(51, 39, "RGBA"), "avif")
    yield "limited", saved(picture(51, 39), "avif", range="limited")
    for what, w, subsampling in (("", 64, "4:2:0"), ("-444", 64, "4:4:4"), ("-odd", 51, "4:2:0")):
        # Colours that any of the matrices makes of it are between black and white.
        pale = Image.blend(picture(w, 39), Image.new("RGB", (w, 39), (128, 128, 128)), 0.5)
        config, data = coded(saved(pale, "avif", subsampling=subsampling))
        for matrix in (1, 2, 9):
            for full in (0, 1):
                yield f"matrix{matrix}-{full}{what}", file("avif", {1: ("av01", data, [config, ispe(w, 39), nclx(matrix, full)])})
    turned = Image.Exif()
    turned[0x112] = 6
    yield "exif6", saved(picture(51, 39), "avif", exif=turned)
    yield "animated", saved(picture(51, 39), "avif", save_all=True, append_images=[picture(51, 39, seed=2)])
    for bits in (10,):
        b = io.BytesIO()
        with av.open(b, "w", format="avif") as out:
            s = out.add_stream("libsvtav1", options={"crf": "20"})
            s.width, s.height, s.pix_fmt = 64, 40, f"yuv420p{bits}le"
            for packet in s.encode(av.VideoFrame.from_image(picture(64, 40)).reformat(format=s.pix_fmt)):
                out.mux(packet)
            for packet in s.encode():
                out.mux(packet)
        yield f"{bits}-bit", b.getvalue()
    yield from common("av01", "avif", "av1C", [nclx(6, 1)])


def main(folder):
    for kind, files in (("heic", heics()), ("avif", avifs())):
        with open(f"{folder}/{kind}/testdata/pictures.tar.gz", "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z, tarfile.open(fileobj=z, mode="w", format=tarfile.USTAR_FORMAT) as t:

            def add(name, data):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                t.addfile(entry, io.BytesIO(data))

            for name, data, *other in files:
                add(f"{name}.{kind}", data)
                try:
                    im = Image.open(io.BytesIO(data), formats=["HEIF" if kind == "heic" else "AVIF"])
                    im.load()
                    im = ImageOps.exif_transpose(im)
                except Exception as e:
                    print(kind, name, "is refused:", e)
                    continue
                if name.startswith("bad-"):
                    print(kind, name, "is to be refused, and the reference reads it")
                    continue
                im = other[0] if other and other[0] else im
                if im.mode.startswith("I;16"):
                    im = Image.fromarray((np.asarray(im).astype(np.uint16) >> 8).astype(np.uint8))
                print(kind, name, im.size, im.mode, len(data))
                b = io.BytesIO()
                im.convert("RGBA" if im.mode in ("RGBA", "RGBa", "LA") else "RGB").save(b, "png")
                add(f"{name}.{kind}.png", b.getvalue())


main(sys.argv[1])
